//! WGSL from templates: tile shapes are written out, since WGSL's overrides reach neither register
//! tiles nor bindings.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, context};

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
    "shared/batch_norm.wgsl",
    "shared/dropout.wgsl",
    "shared/functions.wgsl",
    "shared/member.wgsl",
    "shared/optimizer.wgsl",
    "shared/softmax.wgsl",
    "shared/source.wgsl",
    "shared/state.wgsl",
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
    "softmax_cross_entropy.wgsl",
    "step.wgsl",
    "update.wgsl",
];

/// The WGSL of a kernel in one variant.
///
/// # Panics
/// When no shader has this name: kernels are named by the code alone.
pub fn render(kernel: &str, variant: Variant) -> String {
    let mut environment = Environment::new();
    // Lines of the template language leave no empty lines behind.
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build();
    environment.set_syntax(syntax.expect("the ordinary delimiters"));
    for (name, text) in TEMPLATES {
        environment
            .add_template(name, text)
            .expect("the shaders are templates, which a test renders");
    }
    let template = environment
        .get_template(&format!("{kernel}.wgsl"))
        .expect("kernels are named after their shaders");
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
        MOST_LOSS => format!("{DIVERGED_CROSS_ENTROPY:.1}"),
        NORM_EPSILON => format!("{BATCH_NORM_EPSILON:e}"),
        NORM_MOMENTUM => format!("{BATCH_NORM_MOMENTUM:e}"),
        source => variant.source.name(),
        arena => variant.arena,
    };
    template
        .render(values)
        .expect("the shaders are templates, which a test renders")
}

/// Names of all kernels: the shader files outside `shared/`.
pub fn kernels() -> impl Iterator<Item = &'static str> {
    TEMPLATES
        .iter()
        .filter(|(name, _)| !name.starts_with("shared/"))
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

/// Every different text of every kernel with these tiles.
pub fn every_text(tiles: &[TileShape]) -> Vec<Rendered> {
    let mut texts: Vec<Rendered> = Vec::new();
    for kernel in kernels() {
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
