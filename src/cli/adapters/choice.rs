//! Which adapter a word means. Values in, values out: no device is touched.

use crate::engine::AdapterDescription;
use crate::engine::gpu::AdapterKind;

/// What `auto` goes by, for people.
const ORDER: &str = "discrete, integrated, virtual GPU, cpu";

/// What an adapter is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The native engine.
    Cpu,
    /// One that wgpu found.
    Gpu(AdapterKind),
}

impl Kind {
    /// The word in the listing.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Gpu(kind) => kind.name(),
        }
    }

    /// Place in the order of `auto`; `None` for those that are taken only when named.
    fn rank(self) -> Option<u8> {
        match self {
            Self::Gpu(AdapterKind::Discrete) => Some(0),
            Self::Gpu(AdapterKind::Integrated) => Some(1),
            Self::Gpu(AdapterKind::Virtual) => Some(2),
            Self::Cpu => Some(3),
            Self::Gpu(AdapterKind::Software | AdapterKind::Other) => None,
        }
    }
}

/// An adapter that can be asked for; its index in the list is the one that people name.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What it is made of.
    pub kind: Kind,
    /// Name, backend, driver, limits.
    pub adapter: AdapterDescription,
    /// Why nothing can be trained on it, if so.
    pub refusal: Option<String>,
}

/// What a word means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Index in the list.
    pub index: usize,
    /// Why this one.
    pub reason: String,
    /// What a person should know who expected another.
    pub note: Option<String>,
}

/// The adapter that `auto`, `cpu`, an index, or a part of name, driver or backend means, the part
/// alone or as `backend:part`; case does not matter. `None` when there is none.
pub fn choose(candidates: &[Candidate], adapter: &str) -> Option<Choice> {
    let wanted = adapter.to_lowercase();
    if wanted == "auto" {
        return auto(candidates);
    }
    if wanted == "cpu" {
        return position(candidates, |c| c.kind == Kind::Cpu).map(named);
    }
    if wanted.chars().all(|c| c.is_ascii_digit()) {
        let index = wanted.parse().ok().filter(|&at| at < candidates.len());
        return index.map(named);
    }
    by_part(candidates, &wanted)
}

fn position(candidates: &[Candidate], wanted: impl Fn(&Candidate) -> bool) -> Option<usize> {
    candidates.iter().position(wanted)
}

fn named(index: usize) -> Choice {
    Choice {
        index,
        reason: "it was named".to_owned(),
        note: None,
    }
}

/// The first in the order of `auto` that can be used.
pub fn auto(candidates: &[Candidate]) -> Option<Choice> {
    let (_, index) = usable(candidates)
        .filter_map(|(index, candidate)| Some((candidate.kind.rank()?, index)))
        .min()?;
    Some(Choice {
        index,
        reason: auto_reason(candidates, index),
        note: better_but_refused(candidates, index),
    })
}

fn usable(candidates: &[Candidate]) -> impl Iterator<Item = (usize, &Candidate)> {
    let all = candidates.iter().enumerate();
    all.filter(|(_, candidate)| candidate.refusal.is_none())
}

fn auto_reason(candidates: &[Candidate], taken: usize) -> String {
    let passed = candidates.iter().enumerate().filter_map(|(index, c)| {
        let why = passed_over(c)?;
        Some(format!("{index} ({why})"))
    });
    let passed = passed.collect::<Vec<_>>().join(", ");
    match (candidates[taken].kind, passed.as_str()) {
        (Kind::Cpu, "") => "no GPU was found".to_owned(),
        (Kind::Cpu, _) => format!("no GPU was found but those it passes over: {passed}"),
        (kind, "") => format!("the first {} GPU, in the order {ORDER}", kind.name()),
        (kind, _) => format!(
            "the first {} GPU, in the order {ORDER}; it passes over {passed}",
            kind.name()
        ),
    }
}

/// In a word, why `auto` never takes it.
fn passed_over(candidate: &Candidate) -> Option<&'static str> {
    match (&candidate.refusal, candidate.kind.rank()) {
        (Some(_), _) => Some("not usable"),
        (None, None) => Some(candidate.kind.name()),
        (None, Some(_)) => None,
    }
}

/// A person with a GPU expects it to be used, and is told why it is not.
fn better_but_refused(candidates: &[Candidate], taken: usize) -> Option<String> {
    let rank = |candidate: &Candidate| candidate.kind.rank().unwrap_or(u8::MAX);
    let better = candidates
        .iter()
        .find(|c| c.refusal.is_some() && rank(c) < rank(&candidates[taken]))?;
    let refusal = better.refusal.as_deref()?;
    Some(format!(
        "`--adapter auto` takes {}: {refusal}",
        shown(candidates, taken)
    ))
}

/// How `auto` sees each adapter, for the listing.
pub fn reasons(candidates: &[Candidate]) -> Vec<String> {
    let taken = auto(candidates);
    let reason = |(index, candidate): (usize, &Candidate)| match (&candidate.refusal, &taken) {
        (Some(refusal), _) => refusal.clone(),
        (None, Some(choice)) if choice.index == index => choice.reason.clone(),
        (None, choice) => untaken(candidate.kind, choice.as_ref()),
    };
    candidates.iter().enumerate().map(reason).collect()
}

fn untaken(kind: Kind, taken: Option<&Choice>) -> String {
    match kind {
        Kind::Gpu(AdapterKind::Software) => {
            "it computes on the processor, and is taken only when named".to_owned()
        }
        Kind::Gpu(AdapterKind::Other) => {
            "its driver does not say what it is; it is taken only when named".to_owned()
        }
        _ => match taken {
            Some(choice) => format!("`auto` takes {} before it", choice.index),
            None => "it can be named".to_owned(),
        },
    }
}

/// The first match that can be used, else the first match, whose refusal the caller reports.
fn by_part(candidates: &[Candidate], wanted: &str) -> Option<Choice> {
    let matches: Vec<usize> = (0..candidates.len())
        .filter(|&index| is_named(&candidates[index].adapter, wanted))
        .collect();
    let can_be_used = |index: &&usize| candidates[**index].refusal.is_none();
    let index = *matches.iter().find(can_be_used).or(matches.first())?;
    let note = (matches.len() > 1).then(|| {
        format!(
            "{} adapters match `{wanted}`; taking {} (name another by its index, see `regatta adapters`)",
            matches.len(),
            shown(candidates, index)
        )
    });
    Some(Choice {
        note,
        ..named(index)
    })
}

fn is_named(adapter: &AdapterDescription, wanted: &str) -> bool {
    let [name, driver, backend] =
        [&adapter.name, &adapter.driver, &adapter.backend].map(|text| text.to_lowercase());
    let within = |part: &str| name.contains(part) || driver.contains(part);
    let whole = within(wanted) || backend.contains(wanted);
    let in_two = || wanted.split_once(':');
    !wanted.is_empty() && (whole || in_two().is_some_and(|(b, part)| backend == b && within(part)))
}

/// An adapter in a sentence.
pub fn shown(candidates: &[Candidate], index: usize) -> String {
    let Candidate { kind, adapter, .. } = &candidates[index];
    match kind {
        Kind::Cpu => format!("{index} `cpu` ({})", adapter.name),
        Kind::Gpu(_) => format!("{index} `{}` ({})", adapter.name, adapter.backend),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AdapterKind::{Discrete, Integrated, Other, Software, Virtual};

    fn candidate(kind: Kind, name: &str, backend: &str, driver: &str) -> Candidate {
        Candidate {
            kind,
            adapter: AdapterDescription {
                name: name.to_owned(),
                backend: backend.to_owned(),
                driver: driver.to_owned(),
                engine: String::new(),
                limits: Default::default(),
                variants: Default::default(),
            },
            refusal: None,
        }
    }

    fn cpu() -> Candidate {
        let driver = "regatta 0.1.0 (avx512)";
        candidate(Kind::Cpu, "AMD EPYC 9654", "native", driver)
    }

    fn gpu(kind: AdapterKind) -> Candidate {
        candidate(Kind::Gpu(kind), kind.name(), "vulkan", "driver")
    }

    fn refused(kind: AdapterKind) -> Candidate {
        let refusal = Some(format!("{} lacks memory", kind.name()));
        Candidate {
            refusal,
            ..gpu(kind)
        }
    }

    /// A workstation: two cards, its processor's own GPU, and llvmpipe twice.
    fn workstation() -> Vec<Candidate> {
        let of = |kind, name, backend, driver| candidate(Kind::Gpu(kind), name, backend, driver);
        vec![
            cpu(),
            of(Discrete, "NVIDIA RTX 4090", "vulkan", "NVIDIA 570.86"),
            of(Discrete, "NVIDIA RTX 3060", "vulkan", "NVIDIA 570.86"),
            of(Integrated, "AMD Raphael", "vulkan", "radv Mesa 25.0.7"),
            of(Software, "llvmpipe (LLVM 19)", "vulkan", "Mesa 25.0.7"),
            of(Software, "llvmpipe (LLVM 19)", "gl", "4.5 Mesa 25.0.7"),
        ]
    }

    #[test]
    fn auto_takes_discrete_then_integrated_then_virtual_then_cpu() {
        for (others, expected) in [
            (vec![], 0),
            (vec![gpu(Software), gpu(Other)], 0),
            (vec![gpu(Virtual)], 1),
            (vec![gpu(Virtual), gpu(Integrated)], 2),
            (vec![gpu(Integrated), gpu(Discrete), gpu(Discrete)], 2),
            (vec![refused(Discrete), gpu(Integrated)], 2),
            (vec![refused(Discrete)], 0),
        ] {
            let candidates = [vec![cpu()], others].concat();
            let choice = choose(&candidates, "auto").expect("cpu is always there");
            assert_eq!(choice.index, expected, "{candidates:?}");
        }
    }

    #[test]
    fn auto_says_why_and_warns_only_of_a_better_one_that_is_refused() {
        for (others, reason, note) in [
            (vec![], "no GPU was found", None),
            (
                vec![gpu(Software), refused(Software)],
                "no GPU was found but those it passes over: 1 (software), 2 (not usable)",
                None,
            ),
            (
                vec![gpu(Discrete), gpu(Integrated)],
                "the first discrete GPU, in the order discrete, integrated, virtual GPU, cpu",
                None,
            ),
            (
                vec![refused(Discrete)],
                "no GPU was found but those it passes over: 1 (not usable)",
                Some("`--adapter auto` takes 0 `cpu` (AMD EPYC 9654): discrete lacks memory"),
            ),
            (
                vec![gpu(Discrete), refused(Integrated)],
                "the first discrete GPU, in the order discrete, integrated, virtual GPU, cpu; it passes over 2 (not usable)",
                None,
            ),
        ] {
            let candidates = [vec![cpu()], others].concat();
            let choice = auto(&candidates).expect("cpu is always there");
            assert_eq!(choice.reason, reason);
            assert_eq!(choice.note.as_deref(), note);
        }
    }

    #[test]
    fn names_by_word_index_part_and_backend() {
        for (adapter, expected) in [
            ("CPU", Some(0)),
            ("0", Some(0)),
            ("1", Some(1)),
            ("5", Some(5)),
            ("6", None),
            ("9654", None),
            ("99999999999999999999", None),
            ("epyc", Some(0)),
            ("avx512", Some(0)),
            ("native:epyc", Some(0)),
            ("vulkan:epyc", None),
            ("nvidia", Some(1)),
            ("RTX 3060", Some(2)),
            ("radv", Some(3)),
            ("mesa", Some(3)),
            ("vulkan", Some(1)),
            ("vulkan:mesa", Some(3)),
            ("llvmpipe", Some(4)),
            ("GL:llvmpipe", Some(5)),
            ("metal", None),
            ("metal:", None),
            (":", None),
            ("", None),
        ] {
            let choice = choose(&workstation(), adapter);
            assert_eq!(choice.map(|choice| choice.index), expected, "{adapter}");
        }
    }

    #[test]
    fn several_matches_are_said_and_one_is_not() {
        let note = |adapter| choose(&workstation(), adapter).unwrap().note;
        assert_eq!(note("rtx 3060"), None);
        assert_eq!(note("vulkan:llvmpipe"), None);
        assert_eq!(
            note("llvmpipe").unwrap(),
            "2 adapters match `llvmpipe`; taking 4 `llvmpipe (LLVM 19)` (vulkan) (name another by its index, see `regatta adapters`)"
        );
    }

    #[test]
    fn a_match_that_can_be_used_goes_before_one_that_cannot() {
        let candidates = [cpu(), refused(Software), gpu(Software)];
        assert_eq!(choose(&candidates, "vulkan").unwrap().index, 2);
        assert_eq!(choose(&candidates[..2], "vulkan").unwrap().index, 1);
        assert_eq!(choose(&candidates, "1").unwrap().index, 1);
    }

    #[test]
    fn every_adapter_has_a_reason() {
        let mut candidates = workstation();
        candidates.push(gpu(Other));
        candidates.push(refused(Discrete));
        assert_eq!(
            reasons(&candidates),
            [
                "`auto` takes 1 before it",
                "the first discrete GPU, in the order discrete, integrated, virtual GPU, cpu; it passes over 4 (software), 5 (software), 6 (other), 7 (not usable)",
                "`auto` takes 1 before it",
                "`auto` takes 1 before it",
                "it computes on the processor, and is taken only when named",
                "it computes on the processor, and is taken only when named",
                "its driver does not say what it is; it is taken only when named",
                "discrete lacks memory",
            ]
        );
    }
}
