//! The table of parameters: what each may be, what it is by default, who uses it, and whether
//! this version trains it.

use super::value::toml;
use super::{ParameterValue, Place};

/// Default architecture.
pub const HIDDEN: &[u64] = &[64];
/// Default optimizer.
pub const OPTIMIZER: &str = "adam";
/// Most hidden layers.
pub const MOST_LAYERS: usize = 64;
/// Widest hidden layer.
pub const WIDEST: u64 = 65_536;
/// Most weights between hidden layers: their index must fit `i32`.
pub const MOST_WEIGHTS: u64 = (1 << 31) - 1;
/// Largest batch.
const LARGEST_BATCH: i64 = (1 << 31) - 1;

/// A row of the table.
#[derive(Debug)]
pub struct Entry {
    /// Name in the sweep file.
    pub name: &'static str,
    /// What its values may be.
    pub kind: Kind,
    /// Default.
    default: Constant,
    /// Whether it is absent unless given: `hidden` takes its place.
    optional: bool,
    /// Optimizers whose default differs.
    defaults: &'static [(&'static str, Constant)],
    /// Optimizers that use it; `None` for all.
    pub used_by: Option<&'static [&'static str]>,
    /// Whether this version trains it.
    pub built: Built,
}

/// Whether this version trains a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Built {
    /// It does.
    Yes,
    /// It does not, but this value, which switches it off, is accepted.
    Off(Constant),
    /// It does not, and no value switches it off.
    No,
}

/// What the values of a parameter may be.
#[derive(Debug)]
pub enum Kind {
    /// A number.
    Number(Limits),
    /// A whole number between these, both included.
    Whole(i64, i64),
    /// A switch.
    Flag,
    /// One of these names.
    Name(&'static [Name]),
    /// Widths of hidden layers.
    Widths,
}

/// A name that a parameter may take.
#[derive(Debug)]
pub struct Name {
    /// As in the sweep file.
    pub name: &'static str,
    /// Whether this version trains it.
    pub built: bool,
}

/// Limits of a number. It must keep them after rounding to `f32` too, in which it is trained.
#[derive(Clone, Copy, Debug)]
pub enum Limits {
    /// Above 0.
    Positive,
    /// 0 or more.
    NotNegative,
    /// From 0, below 1.
    Share,
    /// Above 0, at most 1.
    Part,
}

/// A default, or another constant value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Constant {
    /// A number.
    Number(f64),
    /// A whole number.
    Whole(i64),
    /// A switch.
    Flag(bool),
    /// A name.
    Name(&'static str),
    /// Widths.
    Widths(&'static [u64]),
}

impl Constant {
    /// As a value of the space.
    pub fn value(self) -> ParameterValue {
        match self {
            Self::Number(number) => ParameterValue::Float(number),
            Self::Whole(number) => ParameterValue::Int(number),
            Self::Flag(on) => ParameterValue::Bool(on),
            Self::Name(name) => ParameterValue::Text(name.to_owned()),
            Self::Widths(widths) => ParameterValue::Widths(widths.to_vec()),
        }
    }
}

impl Limits {
    /// Whether a number keeps the limits, as it is and as `f32`.
    pub fn hold(self, number: f64) -> bool {
        let rounded = f64::from(number as f32);
        [number, rounded]
            .iter()
            .all(|&x| x.is_finite() && self.hold_exactly(x))
    }

    fn hold_exactly(self, number: f64) -> bool {
        match self {
            Self::Positive => number > 0.0,
            Self::NotNegative => number >= 0.0,
            Self::Share => (0.0..1.0).contains(&number),
            Self::Part => number > 0.0 && number <= 1.0,
        }
    }

    /// What a number must be, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Positive => "it must be a finite 32-bit number above 0",
            Self::NotNegative => "it must be a finite 32-bit number of at least 0",
            Self::Share => "it must be a 32-bit number from 0 to below 1",
            Self::Part => "it must be a 32-bit number above 0 and at most 1",
        }
    }
}

impl Kind {
    /// What a value must be, in words.
    pub fn words(&self) -> String {
        match self {
            Self::Number(limits) => limits.words().to_owned(),
            Self::Whole(low, high) => format!("it must be a whole number from {low} to {high}"),
            Self::Flag => "it must be true or false".to_owned(),
            Self::Name(names) => format!("it must be one of {}", list(built(names))),
            Self::Widths => {
                format!("it must be up to {MOST_LAYERS} widths from 1 to {WIDEST}")
            }
        }
    }
}

impl Entry {
    const fn new(name: &'static str, kind: Kind, default: Constant) -> Self {
        Self {
            name,
            kind,
            default,
            optional: false,
            defaults: &[],
            used_by: None,
            built: Built::Yes,
        }
    }

    const fn used_by(mut self, optimizers: &'static [&'static str]) -> Self {
        self.used_by = Some(optimizers);
        self
    }

    const fn default_of(mut self, defaults: &'static [(&'static str, Constant)]) -> Self {
        self.defaults = defaults;
        self
    }

    const fn only_off(mut self, off: Constant) -> Self {
        self.built = Built::Off(off);
        self
    }

    const fn not_built(mut self) -> Self {
        self.built = Built::No;
        self
    }

    const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The default under an optimizer; `None` where `hidden` takes its place.
    pub fn default_for(&self, optimizer: &str) -> Option<ParameterValue> {
        let own = self.defaults.iter().find(|(name, _)| *name == optimizer);
        let default = own.map_or(self.default, |(_, default)| *default);
        (!self.optional).then(|| default.value())
    }

    /// An example of a value, as the sweep file spells it.
    pub fn example(&self) -> String {
        toml(&self.default.value())
    }

    /// How it is given its example of a value at a place.
    pub fn example_at(&self, place: &Place) -> String {
        place.setting(
            self.name,
            &self.default.value().to_string(),
            &self.example(),
        )
    }
}

/// Names that other libraries have for parameters of the table.
const ALIASES: &[(&str, &str)] = &[
    ("lr", "learning_rate"),
    ("batch", "batch_size"),
    ("bs", "batch_size"),
    ("opt", "optimizer"),
    ("eps", "epsilon"),
    ("alpha", "rho"),
    ("wd", "weight_decay"),
];

/// The parameter that another library's name means.
pub fn alias(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let found = ALIASES.iter().find(|(alias, _)| *alias == name);
    found.map(|(_, meant)| *meant)
}

/// The row of a parameter.
pub fn entry(name: &str) -> Option<&'static Entry> {
    PARAMETERS.iter().find(|entry| entry.name == name)
}

/// The names that this version trains.
pub fn built(names: &'static [Name]) -> impl Iterator<Item = &'static str> {
    names.iter().filter(|name| name.built).map(|name| name.name)
}

/// Words as `a, b, c`.
pub fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

const fn yes(name: &'static str) -> Name {
    Name { name, built: true }
}

const fn no(name: &'static str) -> Name {
    Name { name, built: false }
}

const OPTIMIZERS: &[Name] = &[
    yes("sgd"),
    yes("adam"),
    yes("rmsprop"),
    no("adamw"),
    no("nadam"),
    no("adamax"),
    no("adagrad"),
    no("adadelta"),
    no("lion"),
    no("lars"),
    no("lamb"),
];
const ACTIVATIONS: &[Name] = &[
    yes("relu"),
    yes("tanh"),
    yes("sigmoid"),
    yes("identity"),
    no("gelu"),
];
const INITS: &[Name] = &[
    yes("glorot_uniform"),
    no("he_uniform"),
    no("he_normal"),
    no("lecun_normal"),
    no("torch"),
];
const SCHEDULES: &[Name] = &[
    yes("constant"),
    no("step"),
    no("exponential"),
    no("cosine"),
    no("cosine_restarts"),
    no("linear"),
    no("polynomial"),
    no("one_cycle"),
    no("plateau"),
];

const SHARE: Kind = Kind::Number(Limits::Share);
const POSITIVE: Kind = Kind::Number(Limits::Positive);
const NOT_NEGATIVE: Kind = Kind::Number(Limits::NotNegative);
const COUNT: Kind = Kind::Whole(1, LARGEST_BATCH);
const BETAS: &[&str] = &["adam", "adamw", "nadam", "adamax", "lion", "lamb"];
const WITH_EPSILON: &[&str] = &[
    "adam", "adamw", "nadam", "adamax", "rmsprop", "adagrad", "adadelta", "lamb",
];

use Constant::{Flag, Name as Named, Number, Whole, Widths};

/// Every parameter of the contract. Sources of the defaults: PyTorch's optimizers; the papers of
/// Lion and LARS.
pub const PARAMETERS: &[Entry] = &[
    Entry::new("learning_rate", POSITIVE, Number(0.001)),
    Entry::new("batch_size", COUNT, Whole(32)),
    Entry::new("optimizer", Kind::Name(OPTIMIZERS), Named(OPTIMIZER)),
    Entry::new("hidden", Kind::Widths, Widths(HIDDEN)),
    Entry::new("layers", Kind::Whole(1, MOST_LAYERS as i64), Whole(1)).optional(),
    Entry::new("units", Kind::Whole(1, WIDEST as i64), Whole(64)).optional(),
    Entry::new("activation", Kind::Name(ACTIVATIONS), Named("relu")),
    Entry::new("batch_norm", Kind::Flag, Flag(false)),
    Entry::new("dropout", SHARE, Number(0.0)),
    Entry::new("momentum", SHARE, Number(0.0))
        .default_of(&[("lars", Number(0.9))])
        .used_by(&["sgd", "rmsprop", "lars"]),
    Entry::new("nesterov", Kind::Flag, Flag(false)).used_by(&["sgd"]),
    Entry::new("beta_1", SHARE, Number(0.9)).used_by(BETAS),
    Entry::new("beta_2", SHARE, Number(0.999))
        .default_of(&[("lion", Number(0.99))])
        .used_by(BETAS),
    Entry::new("rho", SHARE, Number(0.99))
        .default_of(&[("adadelta", Number(0.9))])
        .used_by(&["rmsprop", "adadelta"]),
    Entry::new("epsilon", POSITIVE, Number(1e-8))
        .default_of(&[("adagrad", Number(1e-10)), ("adadelta", Number(1e-6))])
        .used_by(WITH_EPSILON),
    Entry::new("init", Kind::Name(INITS), Named("glorot_uniform"))
        .only_off(Named("glorot_uniform")),
    Entry::new("schedule", Kind::Name(SCHEDULES), Named("constant")).only_off(Named("constant")),
    Entry::new("amsgrad", Kind::Flag, Flag(false)).only_off(Flag(false)),
    Entry::new("centered", Kind::Flag, Flag(false)).only_off(Flag(false)),
    Entry::new("weight_decay", NOT_NEGATIVE, Number(0.0))
        .default_of(&[("adamw", Number(0.01))])
        .only_off(Number(0.0)),
    Entry::new("l1", NOT_NEGATIVE, Number(0.0)).only_off(Number(0.0)),
    Entry::new("l2", NOT_NEGATIVE, Number(0.0)).only_off(Number(0.0)),
    Entry::new("gradient_clip_norm", NOT_NEGATIVE, Number(0.0)).only_off(Number(0.0)),
    Entry::new("label_smoothing", SHARE, Number(0.0)).only_off(Number(0.0)),
    Entry::new("warmup_epochs", NOT_NEGATIVE, Number(0.0)).only_off(Number(0.0)),
    Entry::new("train_fraction", Kind::Number(Limits::Part), Number(1.0)).only_off(Number(1.0)),
    Entry::new("gamma", POSITIVE, Number(0.1)).not_built(),
    Entry::new("step_size", COUNT, Whole(10)).not_built(),
    Entry::new("power", POSITIVE, Number(1.0)).not_built(),
    Entry::new("min_learning_rate", NOT_NEGATIVE, Number(0.0)).not_built(),
    Entry::new("period", COUNT, Whole(10)).not_built(),
    Entry::new("plateau_patience", COUNT, Whole(10)).not_built(),
    Entry::new("pct_start", SHARE, Number(0.3)).not_built(),
];
