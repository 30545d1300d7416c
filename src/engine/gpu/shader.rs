//! WGSL from templates: tile shapes are written out, since WGSL's overrides reach neither register
//! tiles nor bindings.

mod iterations;
mod resident;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::merge_maps;
use minijinja::{Environment, UndefinedBehavior, Value, context};
use sha2::{Digest, Sha256};

pub use iterations::Iterations;
pub use resident::{ResidentKernel, ResidentTiles, ResidentVariant};

use super::layout::MemberData;
use crate::train::{BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, DIVERGED_CROSS_ENTROPY};

/// How a product kernel cuts its result into tiles, in values.
///
/// A workgroup makes `rows` x `columns` of the result, `inner` values of the inner dimension at a
/// time; an invocation holds `thread_rows` x 4. The tile changes speed, never a bit of a result:
/// every value is one chain of fma over the inner dimension, and `inner` is the same for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileShape {
    /// Rows of the result a workgroup makes; a multiple of 16 and of `thread_rows`.
    pub rows: u32,
    /// Columns of the result a workgroup makes; a multiple of 4.
    pub columns: u32,
    /// Rows an invocation holds; a multiple of 4.
    pub thread_rows: u32,
}

/// Values of the inner dimension that go through workgroup memory at once. One for all tiles: the
/// zeros behind the last values are part of the chain.
pub const INNER: u32 = 16;

/// Columns of a tile for narrow results.
const NARROW: u32 = 16;

impl TileShape {
    /// Invocations of a workgroup.
    pub fn threads(self) -> u32 {
        self.rows / self.thread_rows * (self.columns / 4)
    }

    /// The tile for a result of so many columns: narrow results, as the last layer has them, would
    /// leave most of a wide tile idle. An invocation of a narrow tile holds `thread_rows`.
    pub fn for_columns(self, columns: u32, thread_rows: u32) -> Self {
        if columns > NARROW || self.columns <= NARROW {
            return self;
        }
        Self {
            columns: NARROW,
            thread_rows,
            ..self
        }
    }

    /// `rows`x`columns`/`thread_rows`, as records name it.
    pub fn name(self) -> String {
        format!("{}x{}/{}", self.rows, self.columns, self.thread_rows)
    }
}

/// How product kernels cut their results: of rows by columns, and of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tiles {
    /// Of `dense_forward` and `dense_backward_input`; its rows are those of all lists of tiles.
    pub rows: TileShape,
    /// Of `dense_backward_weights`.
    pub weights: TileShape,
    /// Rows that an invocation holds where the result is narrow: fewer make more invocations, which
    /// fill a GPU's subgroup; more make longer chains, which software adapters like.
    pub narrow_thread_rows: u32,
}

impl Tiles {
    /// The tile of rows for a result of so many columns.
    pub fn rows_for(&self, columns: u32) -> TileShape {
        self.rows.for_columns(columns, self.narrow_thread_rows)
    }

    /// The tile of weights for a result of so many columns.
    pub fn weights_for(&self, columns: u32) -> TileShape {
        self.weights.for_columns(columns, self.narrow_thread_rows)
    }
}

/// Where the inputs of a layer come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The layer before.
    Activations,
    /// Rows of the dataset, stored as f32.
    FeaturesF32,
    /// Rows of the dataset, stored as bytes.
    FeaturesU8,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::Activations => "activations",
            Self::FeaturesF32 => "features_f32",
            Self::FeaturesU8 => "features_u8",
        }
    }

    /// All of them.
    const ALL: [Self; 3] = [Self::Activations, Self::FeaturesF32, Self::FeaturesU8];
}

/// What is filled into a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variant {
    /// Tile of the product, or of the rows.
    pub tile: TileShape,
    /// Inputs of the layer.
    pub source: Source,
    /// Gradients go to an arena instead of into the update.
    pub arena: bool,
}

macro_rules! templates {
    ($($name:literal),* $(,)?) => {
        /// Every shader file by its name, as it lies in `shaders/`.
        const TEMPLATES: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../../shaders/", $name)))),*
        ];
    };
}

templates![
    "shared/activation.wgsl",
    "shared/apply_update.wgsl",
    "resident/backward_input.wgsl",
    "resident/backward_weights.wgsl",
    "resident/batch_norm.wgsl",
    "resident/batch_norm_places.wgsl",
    "resident/batch_norm_running.wgsl",
    "resident/begin_tile.wgsl",
    "resident/chains.wgsl",
    "resident/common.wgsl",
    "resident/end_tile.wgsl",
    "resident/direct.wgsl",
    "resident/forward.wgsl",
    "resident/loss.wgsl",
    "resident/tiles.wgsl",
    "resident/weights.wgsl",
    "shared/batch_norm.wgsl",
    "shared/batch_norm_blocks.wgsl",
    "shared/batch_norm_running.wgsl",
    "shared/dropout.wgsl",
    "shared/functions.wgsl",
    "shared/member.wgsl",
    "shared/optimizer.wgsl",
    "shared/softmax.wgsl",
    "shared/source.wgsl",
    "shared/state.wgsl",
    "shared/step.wgsl",
    "shared/updated_parameter.wgsl",
    "batch_norm_backward.wgsl",
    "batch_norm_backward_statistics.wgsl",
    "batch_norm_forward.wgsl",
    "batch_norm_statistics.wgsl",
    "check_functions.wgsl",
    "dense_backward_input.wgsl",
    "dense_backward_weights.wgsl",
    "dense_forward.wgsl",
    "end_of_epoch.wgsl",
    "evaluate.wgsl",
    "find_non_finite.wgsl",
    "fma_peak.wgsl",
    "resident.wgsl",
    "resident_evaluate.wgsl",
    "softmax_cross_entropy.wgsl",
    "step.wgsl",
    "update.wgsl",
];

/// The WGSL of a kernel in one variant.
///
/// # Panics
/// When no shader has this name: kernels are named by the code alone.
pub fn render(kernel: &str, variant: Variant) -> String {
    let tile = variant.tile;
    let values = context! {
        TM => tile.rows,
        TM4 => tile.rows / 4,
        TN => tile.columns,
        TN4 => tile.columns / 4,
        TK => INNER,
        TK4 => INNER / 4,
        RM => tile.thread_rows,
        THREADS => tile.threads(),
        source => variant.source.name(),
        arena => variant.arena,
    };
    render_with(kernel, Needs::ALL, values)
}

/// What of the members' hyperparameters a kernel is compiled for, as sets of bits by the numbers that
/// optimizers and activations have on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Needs {
    optimizers: u32,
    activations: u32,
    dropout: bool,
    batch_norm: bool,
}

/// By their numbers in `shaders/shared/optimizer.wgsl`.
const OPTIMIZERS: [&str; 6] = [
    "sgd",
    "sgd_momentum",
    "sgd_nesterov",
    "adam",
    "rmsprop",
    "rmsprop_momentum",
];
/// By their numbers in `shaders/shared/activation.wgsl`.
const ACTIVATIONS: [&str; 4] = ["relu", "tanh", "sigmoid", "identity"];

impl Needs {
    /// Everything that there is.
    pub const ALL: Self = Self {
        optimizers: u32::MAX,
        activations: u32::MAX,
        dropout: true,
        batch_norm: true,
    };

    /// What these members need.
    pub fn of(members: impl Iterator<Item = MemberData>, batch_norm: bool) -> Self {
        let mut needs = Self {
            optimizers: 0,
            activations: 0,
            dropout: false,
            batch_norm,
        };
        for member in members {
            needs.optimizers |= 1 << member.optimizer;
            needs.activations |= 1 << member.activation;
            needs.dropout |= member.dropout_threshold != 0;
        }
        needs
    }

    /// What evaluations of the same members need.
    fn of_evaluations(self) -> Self {
        Self {
            optimizers: 0,
            dropout: false,
            ..self
        }
    }

    /// Whether the code that it takes is long.
    fn is_much(self) -> bool {
        self.dropout || self.optimizers.count_ones() > 1
    }

    /// Whether a kernel for `self` does for members that need `other`.
    pub fn hold(self, other: Self) -> bool {
        other.optimizers & !self.optimizers == 0
            && other.activations & !self.activations == 0
            && (self.dropout || !other.dropout)
            && (self.batch_norm || !other.batch_norm)
    }

    fn values(self) -> Value {
        let named = |names: &[&'static str], bits: u32| -> Vec<&'static str> {
            let numbered = names.iter().enumerate();
            let inside = numbered.filter(|(number, _)| bits >> number & 1 == 1);
            inside.map(|(_, name)| *name).collect()
        };
        context! {
            optimizers => named(&OPTIMIZERS, self.optimizers),
            activations => named(&ACTIVATIONS, self.activations),
            dropout => self.dropout,
            batch_norm => self.batch_norm,
        }
    }
}

/// The WGSL of a kernel with these values and those of every kernel filled in.
///
/// # Panics
/// When no shader has this name: kernels are named by the code alone.
pub fn render_with(kernel: &str, needs: Needs, values: Value) -> String {
    let mut environment = Environment::new();
    // Lines of the template language leave no empty lines behind, and what follows an included file
    // begins on a line of its own.
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build();
    environment.set_syntax(syntax.expect("the ordinary delimiters"));
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    for (name, text) in TEMPLATES {
        environment
            .add_template(name, text)
            .expect("the shaders are templates, which a test renders");
    }
    let template = environment
        .get_template(&format!("{kernel}.wgsl"))
        .expect("kernels are named after their shaders");
    let of_every_kernel = context! {
        MOST_LOSS => format!("{DIVERGED_CROSS_ENTROPY:.1}"),
        NORM_EPSILON => format!("{BATCH_NORM_EPSILON:e}"),
        NORM_MOMENTUM => format!("{BATCH_NORM_MOMENTUM:e}"),
    };
    template
        .render(merge_maps([of_every_kernel, needs.values(), values]))
        .expect("the shaders are templates, which a test renders")
}

/// Names of all kernels: the shader files that lie in no folder.
pub fn kernels() -> impl Iterator<Item = &'static str> {
    TEMPLATES
        .iter()
        .filter(|(name, _)| !name.contains('/'))
        .map(|(name, _)| name.trim_end_matches(".wgsl"))
}

/// One WGSL text of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The kernel, which is also the entry point.
    pub kernel: &'static str,
    /// The first variant that gives this text, as a file may be named.
    pub variant: String,
    /// The text.
    pub wgsl: String,
}

/// Sixteen hexadecimal digits that change when a shader file does, or how shaders are translated.
pub fn shader_fingerprint() -> String {
    let mut hash = Sha256::new();
    for (name, text) in TEMPLATES {
        hash.update(name.as_bytes());
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    hash.update(include_str!("kernels/spirv.rs").as_bytes());
    let digits = hash
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>();
    digits.concat()
}

/// Every different text of every kernel with these tiles.
pub fn every_text(tiles: &[TileShape]) -> Vec<Rendered> {
    let mut texts: Vec<Rendered> = Vec::new();
    // The resident kernels have variants of their own.
    for kernel in kernels().filter(|kernel| !kernel.starts_with("resident")) {
        for variant in variants(tiles) {
            let wgsl = render(kernel, variant);
            if texts.iter().all(|text| text.wgsl != wgsl) {
                texts.push(Rendered {
                    kernel,
                    variant: variant.name(),
                    wgsl,
                });
            }
        }
    }
    texts
}

fn variants(tiles: &[TileShape]) -> Vec<Variant> {
    let mut all = Vec::new();
    for &tile in tiles {
        for source in Source::ALL {
            all.extend([false, true].map(|arena| Variant {
                tile,
                source,
                arena,
            }));
        }
    }
    all
}

impl Variant {
    fn name(self) -> String {
        let tile = self.tile.name().replace('/', "_");
        let update = if self.arena { "arena" } else { "fused" };
        format!("{tile}-{}-{update}", self.source.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_results_have_narrow_tiles() {
        let wide = TileShape {
            rows: 32,
            columns: 64,
            thread_rows: 8,
        };
        assert_eq!(wide.for_columns(17, 4), wide);
        let narrow = wide.for_columns(16, 4);
        assert_eq!((narrow.columns, narrow.threads()), (16, 32));
        assert_eq!(wide.for_columns(1, 8).threads(), 16);
        assert_eq!(narrow.for_columns(3, 8), narrow);
    }
}
