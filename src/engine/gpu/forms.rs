//! How waves of one class are trained: what a measurement may choose among, and what it chose.
//!
//! A form changes speed, never a bit of a result: every value is one chain of fma over the inner dimension,
//! however results are cut.

use std::collections::BTreeMap;
use std::fmt;

use super::adapter::AdapterKind;
use super::options::{EngineKind, Options};
use super::shader::{ResidentTiles, TileShape, Tiles};
use crate::train::Shape;

/// Waves that are taken to be alike: networks whose widths are equal when rounded up to powers of 2, and
/// numbers of members between two powers of 4. Of a wave of several shapes the one that costs most counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaveClass {
    widths: Vec<usize>,
    batch_norm: bool,
    /// There are smaller networks too.
    mixed: bool,
    /// The least number of members.
    members: u64,
}

impl WaveClass {
    /// Of a wave of so many members of a shape.
    pub fn new(shape: &Shape, members: usize) -> Self {
        Self::of_shapes(std::slice::from_ref(shape), members)
    }

    /// Of a wave of so many members of these shapes.
    ///
    /// # Panics
    /// When there are none.
    pub fn of_shapes(shapes: &[Shape], members: usize) -> Self {
        let largest = shapes.iter().max_by_key(|s| s.flops_per_sample());
        let largest = largest.expect("a wave has shapes");
        let rounded = |width: &usize| width.next_power_of_two();
        Self {
            widths: largest.widths().iter().map(rounded).collect(),
            batch_norm: shapes.iter().any(Shape::batch_norm),
            mixed: shapes.len() > 1,
            members: 4_u64.pow((members.max(1) as u64).ilog(4)),
        }
    }

    /// Whether the networks of another class are like those of this one.
    fn same_networks(&self, other: &Self) -> bool {
        (&self.widths, self.batch_norm) == (&other.widths, other.batch_norm)
    }
}

impl WaveClass {
    /// Whether a wave of several shapes may have had networks of another class, which are no larger than its largest.
    fn may_have(&self, class: &Self) -> bool {
        let ends = |class: &Self| (class.widths.first().copied(), class.widths.last().copied());
        let products = |class: &Self| class.widths.windows(2).map(|w| w[0] * w[1]).sum::<usize>();
        let fits = products(class) <= products(self) && self.batch_norm >= class.batch_norm;
        self.mixed && !class.mixed && ends(self) == ends(class) && fits
    }
}

impl fmt::Display for WaveClass {
    /// `64-64-16, 64 to 255 members`; `up to 64-64-16, ...` of several shapes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<String> = self.widths.iter().map(usize::to_string).collect();
        let norm = if self.batch_norm {
            " with batch norm"
        } else {
            ""
        };
        let (least, most) = (self.members, 4 * self.members - 1);
        let up_to = if self.mixed { "up to " } else { "" };
        let widths = widths.join("-");
        write!(f, "{up_to}{widths}{norm}, {least} to {most} members")
    }
}

/// One way to train a wave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// By the layered engine, with these tiles.
    Layered(Tiles),
    /// By the resident engine where it takes the network, with these tiles.
    Resident(ResidentTiles),
}

impl Form {
    /// As records and the cache name it; [`Form::named`] finds it again.
    pub fn name(self) -> String {
        match self {
            Self::Layered(tiles) => {
                let (rows, weights) = (tiles.rows.name(), tiles.weights.name());
                format!("{} {rows} {weights}", self.engine())
            }
            Self::Resident(tiles) => format!("{} {}", self.engine(), tiles.name()),
        }
    }

    /// The engine that it is of, the first word of its name.
    pub fn engine(self) -> &'static str {
        match self {
            Self::Layered(_) => EngineKind::Layered.name(),
            Self::Resident(_) => EngineKind::Resident.name(),
        }
    }

    /// The candidate of an adapter's kind that has this name; `None` for one of another version.
    pub fn named(name: &str, kind: AdapterKind) -> Option<Self> {
        let all = Self::candidates(kind, EngineKind::Auto);
        all.into_iter().find(|form| form.name() == name)
    }

    /// The tiles of all candidates of all kinds of adapters: of the layered engine and of the resident one.
    pub fn all_tiles() -> (Vec<Tiles>, Vec<ResidentTiles>) {
        let (mut layered, mut resident) = (Vec::new(), Vec::new());
        for kind in [AdapterKind::Discrete, AdapterKind::Software] {
            for form in Self::candidates(kind, EngineKind::Auto) {
                match form {
                    Self::Layered(tiles) => layered.push(tiles),
                    Self::Resident(tiles) => resident.push(tiles),
                }
            }
        }
        (layered, resident)
    }

    /// What is measured on adapters of a kind, where `engine` was asked for: what is taken unmeasured
    /// by adapters that are not known better first, then the other engine, then other tiles.
    pub fn candidates(kind: AdapterKind, engine: EngineKind) -> Vec<Self> {
        let (layered, resident) = match kind {
            AdapterKind::Software => (software_layered(kind), software_resident(kind)),
            _ => (hardware_layered(kind), hardware_resident(kind)),
        };
        let [(first_layered, layered), (first_resident, resident)] =
            [split_first(layered), split_first(resident)];
        match engine {
            EngineKind::Layered => [vec![first_layered], layered].concat(),
            EngineKind::Resident => [vec![first_resident], resident].concat(),
            EngineKind::Auto => [vec![first_resident, first_layered], resident, layered].concat(),
        }
    }
}

impl Options {
    /// What is measured on adapters of a kind for an engine with these options: its own form first, since that is
    /// taken unmeasured.
    pub fn candidates(&self, kind: AdapterKind) -> Vec<Form> {
        let mut all = Form::candidates(kind, self.engine);
        let own = Form::Resident(self.resident);
        if let Some(at) = all.iter().position(|&form| form == own) {
            all.swap(0, at);
        }
        all
    }
}

fn split_first(mut forms: Vec<Form>) -> (Form, Vec<Form>) {
    let others = forms.split_off(1);
    (forms[0], others)
}

fn layered(kind: AdapterKind, others: &[[(u32, u32, u32); 2]]) -> Vec<Form> {
    let chosen = Options::for_kind(kind).tiles;
    let tile = |(rows, columns, thread_rows)| TileShape {
        rows,
        columns,
        thread_rows,
    };
    let other = |&[rows, weights]: &[(u32, u32, u32); 2]| {
        Form::Layered(Tiles {
            rows: tile(rows),
            weights: tile(weights),
            ..chosen
        })
    };
    let others = others.iter().map(other);
    std::iter::once(Form::Layered(chosen))
        .chain(others)
        .collect()
}

/// (invocations, rows an invocation, vec4s of columns an invocation, vec4s of columns, inner vec4s)
type Resident = (u32, u32, u32, u32, u32);

/// The chosen one, then these others.
fn resident(kind: AdapterKind, others: &[Resident]) -> Vec<Form> {
    let form = |&(threads, thread_rows, thread_columns_4, columns_4, inner_4): &Resident| {
        Form::Resident(ResidentTiles {
            threads,
            thread_rows,
            thread_columns_4,
            columns_4,
            inner_4,
        })
    };
    let chosen = Form::Resident(Options::for_kind(kind).resident);
    let others = others.iter().map(form).filter(|&form| form != chosen);
    std::iter::once(chosen).chain(others).collect()
}

// All tiles of rows have as many rows as the chosen one: buffers are laid out before a form is chosen.

fn software_layered(kind: AdapterKind) -> Vec<Form> {
    layered(kind, &[[(32, 32, 8), (32, 64, 8)]])
}

fn software_resident(kind: AdapterKind) -> Vec<Form> {
    resident(kind, &[(8, 8, 4, 8, 8), (8, 8, 2, 8, 16)])
}

fn hardware_layered(kind: AdapterKind) -> Vec<Form> {
    layered(
        kind,
        &[[(32, 64, 4), (64, 64, 4)], [(32, 32, 4), (32, 32, 4)]],
    )
}

fn hardware_resident(kind: AdapterKind) -> Vec<Form> {
    resident(
        kind,
        &[
            (256, 4, 1, 16, 0),
            (128, 4, 1, 16, 0),
            (128, 8, 1, 16, 0),
            (64, 8, 1, 16, 0),
            (256, 4, 1, 16, 16),
            (64, 8, 1, 16, 16),
            (64, 4, 1, 16, 16),
            (64, 4, 1, 16, 4),
        ],
    )
}

/// The engine of a form, by the form's name.
pub fn engine_of(name: &str) -> &str {
    name.split(' ').next().unwrap_or_default()
}

/// What was measured to be the fastest form of each class.
#[derive(Clone, Debug, Default)]
pub struct Tuned(BTreeMap<WaveClass, Form>);

impl Tuned {
    /// One form, for one class.
    pub fn only(class: &WaveClass, form: Form) -> Self {
        Self([(class.clone(), form)].into())
    }

    /// From now on waves of this class are trained like this.
    pub fn set(&mut self, class: WaveClass, form: Form) {
        self.0.insert(class, form);
    }

    /// Classes with their forms.
    pub fn iter(&self) -> impl Iterator<Item = (&WaveClass, Form)> {
        self.0.iter().map(|(class, &form)| (class, form))
    }

    /// The form of a class: its own, else that of the like networks whose number of members is nearest,
    /// so that the few members of a refit need no other kernels than the wave before. Waves of one shape and of
    /// several go by each other last; and one shape, where no like networks were measured, by a wave of several that
    /// may have had it.
    pub fn of(&self, class: &WaveClass) -> Option<Form> {
        let near = self.iter().filter_map(|(other, form)| {
            let rank = match () {
                () if class.same_networks(other) && class.mixed == other.mixed => 0,
                () if class.same_networks(other) => 1,
                () if other.may_have(class) => 2,
                () => return None,
            };
            let distance = class.members.ilog(4).abs_diff(other.members.ilog(4));
            Some(((rank, distance), form))
        });
        let nearest = near.min_by_key(|(near, _)| *near);
        nearest.map(|(_, form)| form)
    }
}

impl Options {
    /// The same, for waves that are trained in this form.
    pub fn in_form(self, form: Form) -> Self {
        match form {
            Form::Layered(tiles) => Self {
                engine: EngineKind::Layered,
                tiles,
                ..self
            },
            Form::Resident(resident) => Self {
                resident,
                roomy: None,
                ..self
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::DIRECT;
    use super::*;

    const KINDS: [AdapterKind; 3] = [
        AdapterKind::Software,
        AdapterKind::Discrete,
        AdapterKind::Integrated,
    ];

    #[test]
    fn classes_round_widths_up_and_members_down() {
        let class = |hidden: &[u64], members| {
            WaveClass::new(&Shape::new(64, hidden, 10), members).to_string()
        };
        assert_eq!(class(&[64], 252), "64-64-16, 64 to 255 members");
        assert_eq!(class(&[50], 64), "64-64-16, 64 to 255 members");
        assert_eq!(class(&[65], 1), "64-128-16, 1 to 3 members");
        let normed = Shape::new(64, &[64], 10).with_batch_norm(true);
        let class = WaveClass::new(&normed, 1024).to_string();
        assert_eq!(class, "64-64-16 with batch norm, 1024 to 4095 members");
        let shapes = [&[20][..], &[50], &[9, 9]].map(|hidden| Shape::new(64, hidden, 10));
        let class = WaveClass::of_shapes(&shapes, 20).to_string();
        assert_eq!(class, "up to 64-64-16, 16 to 63 members");
    }

    #[test]
    fn candidates_have_names_of_their_own_that_are_found_again() {
        for kind in KINDS {
            let all = Form::candidates(kind, EngineKind::Auto);
            for (i, form) in all.iter().enumerate() {
                let same = all.iter().position(|other| other.name() == form.name());
                assert_eq!(same, Some(i), "{}", form.name());
                assert_eq!(Form::named(&form.name(), kind), Some(*form));
            }
            assert_eq!(Form::named("resident by hand", kind), None);
        }
    }

    #[test]
    fn an_engine_that_was_asked_for_is_kept_to() {
        for kind in KINDS {
            let of = |engine| Form::candidates(kind, engine);
            let is_layered = |form: &Form| matches!(form, Form::Layered(_));
            assert!(of(EngineKind::Layered).iter().all(is_layered));
            assert!(!of(EngineKind::Resident).iter().any(is_layered));
            let all = of(EngineKind::Layered).len() + of(EngineKind::Resident).len();
            assert_eq!(of(EngineKind::Auto).len(), all);
            let chosen = Options::for_kind(kind);
            assert_eq!(of(EngineKind::Auto)[0], Form::Resident(chosen.resident));
            assert_eq!(of(EngineKind::Auto)[1], Form::Layered(chosen.tiles));
            let direct = Options {
                resident: DIRECT,
                ..chosen
            };
            let swapped = direct.candidates(kind);
            let own = Form::Resident(DIRECT);
            assert_eq!(swapped[0] == own, swapped.contains(&own));
            assert_eq!(swapped[1], Form::Layered(chosen.tiles));
            assert_eq!(swapped.len(), of(EngineKind::Auto).len());
        }
    }

    #[test]
    fn buffers_are_laid_out_for_every_candidate() {
        for kind in KINDS {
            let rows = Options::for_kind(kind).tiles.rows.rows;
            for form in Form::candidates(kind, EngineKind::Layered) {
                let Form::Layered(tiles) = form else { continue };
                assert_eq!(tiles.rows.rows, rows, "{}", form.name());
            }
        }
    }

    #[test]
    fn a_class_that_was_not_measured_goes_by_its_nearest() {
        let class = |members| WaveClass::new(&Shape::new(64, &[64], 10), members);
        let forms = Form::candidates(AdapterKind::Software, EngineKind::Auto);
        let mut tuned = Tuned::default();
        assert_eq!(tuned.of(&class(1)), None);
        tuned.set(class(64), forms[1]);
        tuned.set(class(4096), forms[2]);
        assert_eq!(tuned.of(&class(1)), Some(forms[1]));
        assert_eq!(tuned.of(&class(100)), Some(forms[1]));
        assert_eq!(tuned.of(&class(5000)), Some(forms[2]));
        let other = WaveClass::new(&Shape::new(64, &[128], 10), 64);
        assert_eq!(tuned.of(&other), None);
        let shapes = [&[64], &[8]].map(|hidden| Shape::new(64, hidden, 10));
        let mixed = WaveClass::of_shapes(&shapes, 64);
        assert_eq!(tuned.of(&mixed), Some(forms[1]));
        tuned.set(WaveClass::of_shapes(&shapes, 9000), forms[0]);
        assert_eq!(tuned.of(&mixed), Some(forms[0]));
        assert_eq!(tuned.of(&class(9000)), Some(forms[2]));
        // A refit of one of its networks needs no other kernels; larger ones were not in it.
        let refit = |hidden: &[u64]| tuned.of(&WaveClass::new(&Shape::new(64, hidden, 10), 1));
        assert_eq!(refit(&[8]), Some(forms[0]));
        assert_eq!(refit(&[20, 20]), Some(forms[0]));
        assert_eq!(refit(&[128]), None);
    }
}
