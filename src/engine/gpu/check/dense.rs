//! What the tables of the three kernels of a dense layer have in common.

use pulp::Arch;

use super::numbers::Numbers;
use super::oracle::convert;
use super::scene::{DATA_ROWS, FOLDS, Scene};
use super::stage::{Place, Stage};
use crate::data::{FeatureValues, Features, Scaling};
use crate::engine::EngineError;
use crate::engine::cpu::{Real, ScaledFeatures};
use crate::engine::gpu::kernels::Inputs;
use crate::engine::gpu::layout::{LayerData, pad_rows};
use crate::engine::gpu::shader::Source;
use crate::train::{DenseLayer, Shape};

/// Inputs and outputs of the layers: single values, primes, whole tiles, and more than a tile.
const WIDTHS: [(usize, usize); 7] = [
    (1, 1),
    (3, 5),
    (16, 64),
    (17, 31),
    (64, 10),
    (13, 68),
    (67, 131),
];

/// One layer and the batches that go through it.
#[derive(Clone, Debug)]
pub struct Dense {
    /// The members and their batches.
    pub scene: Scene,
    /// The layer.
    pub layer: DenseLayer,
    /// Where its inputs come from.
    pub source: Source,
    /// It gives the logits: no activation stands behind it.
    pub last: bool,
}

/// Streams of numbers by what they are for.
#[derive(Clone, Copy)]
enum For {
    Weights = 2,
    Inputs = 3,
    Gradients = 4,
    Features = 5,
    Scaling = 6,
    Moments = 7,
    Outputs = 11,
}

/// The inputs of a layer on a stage.
pub enum PlacedInputs {
    Activations(Place),
    Dataset {
        source: Source,
        features: Place,
        orders: Place,
        scaling: Place,
    },
}

impl PlacedInputs {
    /// As the kernel binds them.
    pub fn bind<'s>(&self, stage: &'s Stage<'_>) -> Inputs<'s> {
        match *self {
            Self::Activations(inputs) => Inputs::Activations(stage.bind(inputs)),
            Self::Dataset {
                source,
                features,
                orders,
                scaling,
            } => Inputs::Dataset {
                source,
                features: stage.bind(features),
                orders: stage.bind(orders),
                scaling: stage.bind(scaling),
            },
        }
    }
}

impl Dense {
    /// Each layer with the scene of the most members, one that batch norm follows, and each scene
    /// with one layer.
    pub fn all(source: Source) -> Vec<Self> {
        let with = |scene: Scene, (inputs, outputs): (usize, usize), last| Self {
            scene,
            layer: Shape::new(inputs, &[], outputs).layers().remove(0),
            source,
            last,
        };
        let layers = WIDTHS.iter().enumerate();
        let mut cases: Vec<Self> = layers
            .map(|(i, &widths)| with(Scene::largest(), widths, i % 3 == 2))
            .collect();
        let shape = Shape::new(13, &[68], 1).with_batch_norm(true);
        cases.push(Self {
            layer: shape.layers().remove(0),
            ..with(Scene::largest(), (1, 1), false)
        });
        let scenes = Scene::all().into_iter();
        cases.extend(scenes.map(|scene| with(scene, (17, 31), false)));
        cases
    }

    /// What is special about it.
    pub fn name(&self) -> String {
        let Self { scene, layer, .. } = self;
        let source = match self.source {
            Source::Activations => "activations",
            Source::FeaturesF32 => "f32 features",
            Source::FeaturesU8 => "u8 features",
        };
        let bias = if layer.bias.is_empty() {
            " without bias"
        } else {
            ""
        };
        format!(
            "{}-{}{bias} from {source}, {}",
            layer.inputs, layer.outputs, scene.name
        )
    }

    /// The layer as kernels see it, without its tiles.
    pub fn data(&self) -> LayerData {
        LayerData::new(&self.layer, 1, self.last)
    }

    fn numbers(&self, of: For, slot: usize, changed: Option<usize>) -> Numbers {
        let widths = (1000 * self.layer.inputs + self.layer.outputs) as u64;
        let changed = u64::from(changed == Some(slot));
        Numbers::of(&[of as u64, widths, slot as u64, changed])
    }

    /// Weights and biases of a member.
    pub fn parameter_count(&self) -> usize {
        self.layer.weights.len() + self.layer.bias.len()
    }

    /// Weights and biases of a slot, not padded. Those of a changed one are not finite.
    pub fn parameters(&self, slot: usize, changed: Option<usize>) -> Vec<f32> {
        let count = self.parameter_count();
        if changed == Some(slot) {
            return vec![f32::NAN; count];
        }
        self.numbers(For::Weights, slot, None).symmetric(count, 1.0)
    }

    /// Parameters of all slots as the device has them.
    pub fn padded_parameters(&self, changed: Option<usize>) -> Vec<f32> {
        let slots = 0..self.scene.members.len();
        slots
            .flat_map(|slot| pad_rows(&self.parameters(slot, changed), self.layer.outputs))
            .collect()
    }

    /// Activations that go into the layer, `[rows][inputs]`; some are 0, as relu gives them.
    pub fn activations(&self, slot: usize, changed: Option<usize>) -> Vec<f32> {
        let count = self.scene.rows(slot) * self.layer.inputs;
        let numbers = &mut self.numbers(For::Inputs, slot, changed);
        let values = numbers.symmetric(count, 1.0);
        let zeros = values.iter().map(|&v| if v.abs() < 0.2 { 0.0 } else { v });
        zeros.collect()
    }

    /// Values that the layer's units have in front of batch norm, `[rows][outputs]`: far from 0,
    /// where a sum of squares would cancel.
    pub fn units(&self, slot: usize, changed: Option<usize>) -> Vec<f32> {
        let count = self.scene.rows(slot) * self.layer.outputs;
        self.numbers(For::Outputs, slot, changed)
            .list(count, 3.0, 5.0)
    }

    /// Gradients behind the layer, `[rows][outputs]`.
    pub fn output_gradients(&self, slot: usize, changed: Option<usize>) -> Vec<f32> {
        let count = self.scene.rows(slot) * self.layer.outputs;
        self.numbers(For::Gradients, slot, changed)
            .symmetric(count, 1.0)
    }

    /// Numbers for the `vector`-th moment of a slot, as many as it has parameters.
    pub fn moment_numbers(&self, slot: usize, vector: usize, low: f32, high: f32) -> Vec<f32> {
        let count = self.parameter_count();
        self.numbers(For::Moments, 2 * slot + vector, None)
            .list(count, low, high)
    }

    fn features(&self) -> Features {
        let columns = self.layer.inputs;
        let count = DATA_ROWS as usize * columns;
        let mut numbers = self.numbers(For::Features, 0, None);
        let values = match self.source {
            Source::FeaturesU8 => {
                FeatureValues::U8((0..count).map(|_| numbers.below(256) as u8).collect())
            }
            _ => FeatureValues::F32(numbers.symmetric(count, 3.0)),
        };
        Features::new(columns, values)
    }

    fn scaling(&self, fold: usize) -> Scaling {
        let (columns, bytes) = (self.layer.inputs, self.source == Source::FeaturesU8);
        let (range, spread) = if bytes { (255.0, 100.0) } else { (1.0, 1.0) };
        let mut numbers = self.numbers(For::Scaling, fold, None);
        Scaling {
            offset: numbers.list(columns, 0.0, range),
            factor: numbers.list(columns, 0.2 / spread, 2.0 / spread),
        }
    }

    /// The inputs of a slot's batch, `[rows][inputs]`, loaded and scaled as the cpu engine does.
    pub fn batch<T: Real>(&self, slot: usize) -> Vec<T> {
        if self.source == Source::Activations {
            return convert(&self.activations(slot, None));
        }
        let fold = self.scene.cursors[slot].scaling as usize;
        let features = self.features();
        let scaled = ScaledFeatures::new(&features, &self.scaling(fold));
        let mut batch = vec![T::ZERO; self.scene.rows(slot) * self.layer.inputs];
        scaled.gather(Arch::new(), &mut batch, self.scene.batch_rows(slot));
        batch
    }

    /// Puts the inputs on a stage.
    ///
    /// # Errors
    /// When the device has no room for them.
    pub fn place_inputs(
        &self,
        stage: &mut Stage<'_>,
        changed: Option<usize>,
    ) -> Result<PlacedInputs, EngineError> {
        let columns = self.layer.inputs;
        if self.source == Source::Activations {
            let all = self
                .scene
                .placed(columns, |slot| self.activations(slot, changed));
            return Ok(PlacedInputs::Activations(stage.read("inputs", &all)?));
        }
        let mut scaling = Vec::new();
        for fold in 0..FOLDS as usize {
            let fold = self.scaling(fold);
            scaling.extend(pad_rows(&fold.offset, columns));
            scaling.extend(pad_rows(&fold.factor, columns));
        }
        let features = match self.features().values() {
            FeatureValues::F32(values) => stage.read("features", &pad_rows(values, columns))?,
            FeatureValues::U8(values) => stage.read("features", &pad_rows(values, columns))?,
        };
        Ok(PlacedInputs::Dataset {
            source: self.source,
            features,
            orders: stage.read("orders", &self.scene.orders)?,
            scaling: stage.read("scaling", &scaling)?,
        })
    }
}
