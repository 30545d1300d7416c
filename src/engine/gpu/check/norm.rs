//! What the tables of batch norm's kernels have in common.

use std::ops::Range;

use pulp::Arch;

use super::bounded::Bounded;
use super::dense::Dense;
use super::numbers::Numbers;
use super::oracle::{Activate, convert, dropout_factors, times};
use super::scene::Scene;
use super::stage::POISON;
use super::tally::Expected;
use crate::engine::cpu::Real;
use crate::engine::cpu::batch_norm_backward::batch_norm_backward;
use crate::engine::cpu::batch_norm_forward::{BatchNorm, batch_norm_evaluate};
use crate::engine::gpu::layout::{LayerData, pad_rows};
use crate::engine::gpu::shader::Source;
use crate::train::{DenseLayer, Shape};

/// Units of the layers: single ones, primes, whole groups, and more than a group.
const UNITS: [usize; 6] = [1, 5, 31, 64, 68, 131];

/// One batch norm and the batches that go through it.
///
/// Gamma and beta lie as weights and biases of a layer with one input do: that layer gives their
/// values, their moments and their update.
#[derive(Clone, Debug)]
pub struct Norm {
    /// The layer with one input.
    pub dense: Dense,
}

/// What the backward pass gives for one member.
pub struct Backward<T> {
    /// Gradient in front of the batch norm, `[rows][units]`.
    pub dz: Vec<T>,
    /// Gradient of gamma.
    pub dgamma: Vec<T>,
    /// Gradient of beta.
    pub dbeta: Vec<T>,
    /// Gamma divided by the deviation.
    pub factor: Vec<T>,
    /// Running means, then variances, moved on.
    pub running: Vec<T>,
}

impl Norm {
    /// Each number of units with the most members, and all scenes.
    pub fn all() -> Vec<Self> {
        let with = |scene, units| Self {
            dense: Dense {
                scene,
                layer: Shape::new(1, &[], units).layers().remove(0),
                source: Source::Activations,
                last: false,
            },
        };
        let units = UNITS.into_iter();
        let mut cases: Vec<Self> = units.map(|units| with(Scene::largest(), units)).collect();
        let scenes = Scene::all().into_iter();
        cases.extend(scenes.map(|scene| with(scene, 31)));
        cases
    }

    /// What is special about it.
    pub fn name(&self) -> String {
        format!("{} units, {}", self.units(), self.scene().name)
    }

    /// The members and their batches.
    pub fn scene(&self) -> &Scene {
        &self.dense.scene
    }

    /// Units of the layer.
    pub fn units(&self) -> usize {
        self.dense.layer.outputs
    }

    /// The layer as kernels see it whose workgroups take so many units.
    pub fn data(&self, workgroup_units: u32) -> LayerData {
        let data = self.dense.data();
        LayerData {
            column_tiles: data.output_stride.div_ceil(workgroup_units / 4),
            dropped: 1,
            ..data
        }
    }

    /// Words of a row of units.
    pub fn row_words(&self) -> usize {
        self.units().next_multiple_of(4)
    }

    /// Values in front of the batch norm at their places.
    pub fn placed_units(&self, changed: Option<usize>) -> Vec<f32> {
        self.scene()
            .placed(self.units(), |slot| self.dense.units(slot, changed))
    }

    /// Gradients behind the batch norm at their places.
    pub fn placed_gradients(&self, changed: Option<usize>) -> Vec<f32> {
        self.scene().placed(self.units(), |slot| {
            self.dense.output_gradients(slot, changed)
        })
    }

    /// Mean and variance of a slot's batch as a kernel is handed them.
    pub fn statistics(&self, slot: usize) -> [Vec<f32>; 2] {
        let (mean, variance) = self.measured::<f64>(slot);
        [mean, variance].map(|values| values.iter().map(|&v| v as f32).collect())
    }

    /// Mean and variance of a slot's batch.
    pub fn measured<T: Real>(&self, slot: usize) -> (Vec<T>, Vec<T>) {
        let z = convert(&self.dense.units(slot, None));
        BatchNorm::statistics(Arch::new(), &z, self.units())
    }

    /// Running means and variances of a slot before the step.
    pub fn running(&self, slot: usize) -> Vec<f32> {
        let mut numbers = Numbers::of(&[12, self.units() as u64, slot as u64]);
        numbers.list(2 * self.units(), 0.5, 4.0)
    }

    /// So many vectors of units of each slot, padded; poison where a slot does not train.
    pub fn vectors(&self, count: usize, of: impl Fn(usize) -> Vec<f32>) -> Vec<f32> {
        let words = count * self.row_words();
        let mut all = vec![f32::from_bits(POISON); self.scene().members.len() * words];
        for slot in self.scene().training() {
            let padded = pad_rows(&of(slot), self.units());
            all[slot * words..][..words].copy_from_slice(&padded);
        }
        all
    }

    /// What such vectors should be: untouched where a slot does not train, 0 in the padding.
    pub fn expected_vectors(
        &self,
        count: usize,
        of: impl Fn(usize) -> Vec<Bounded>,
    ) -> Vec<Expected> {
        let words = count * self.row_words();
        let mut all = vec![Expected::Bits(POISON); self.scene().members.len() * words];
        for slot in self.scene().training() {
            let rows = all[slot * words..][..words].chunks_exact_mut(self.row_words());
            for (out, row) in rows.zip(of(slot).chunks_exact(self.units())) {
                out.fill(Expected::ZERO);
                for (out, &value) in out.iter_mut().zip(row) {
                    *out = Expected::Near(value);
                }
            }
        }
        all
    }

    /// Words of a slot among so many vectors each.
    pub fn own_vectors(&self, count: usize, slot: usize) -> Range<usize> {
        let words = count * self.row_words();
        slot * words..(slot + 1) * words
    }

    /// Values behind batch norm, activation and dropout, with the statistics that a kernel is handed.
    pub fn forward<T: Activate>(&self, slot: usize) -> Vec<T> {
        let units = self.units();
        let parameters = convert::<T>(&self.dense.parameters(slot, None));
        let (gamma, beta) = parameters.split_at(units);
        let statistics = convert::<T>(&self.statistics(slot).concat());
        let mut z = convert(&self.dense.units(slot, None));
        let mut scratch = BatchNorm::new(0, units);
        batch_norm_evaluate(Arch::new(), &mut z, gamma, &statistics, &mut scratch);
        let activation = self.scene().hyperparameters[slot].activation;
        let h = T::activate(z, beta, activation);
        let index = self.dense.data().index;
        times(h, dropout_factors(self.scene(), slot, units, index))
    }

    /// The backward pass, with the statistics that a kernel is handed.
    pub fn backward<T: Real>(&self, slot: usize) -> Backward<T> {
        let (units, layer) = (self.units(), self.layer());
        let [mean, variance] = self.statistics(slot).map(|values| convert::<T>(&values));
        let z = convert(&self.dense.units(slot, None));
        let batch = BatchNorm::with_statistics(&z, &mean, &variance);
        let scale = convert::<T>(&self.dense.parameters(slot, None));
        let mut parameters = vec![T::ZERO; layer.beta.end];
        parameters[layer.gamma.start..].copy_from_slice(&scale);
        let mut gradients = parameters.clone();
        let mut dz = convert(&self.dense.output_gradients(slot, None));
        let arch = Arch::new();
        batch_norm_backward(arch, &mut dz, &mut gradients, &parameters, &layer, &batch);
        let mut running = convert(&self.running(slot));
        batch.update_running(&mut running);
        let gamma = scale[..units].iter().zip(batch.inverse_deviation.iter());
        Backward {
            factor: gamma.map(|(&gamma, &inverse)| gamma * inverse).collect(),
            dgamma: gradients[layer.gamma.clone()].to_vec(),
            dbeta: gradients[layer.beta.clone()].to_vec(),
            dz,
            running,
        }
    }

    /// The layer as the cpu engine has it.
    fn layer(&self) -> DenseLayer {
        let shape = Shape::new(1, &[self.units() as u64], 1).with_batch_norm(true);
        shape.layers().remove(0)
    }
}

impl<T: Real> Backward<T> {
    /// Gradients of gamma and beta, in this order.
    pub fn gradients(&self) -> Vec<T> {
        [self.dgamma.as_slice(), &self.dbeta].concat()
    }

    /// What `batch_norm_backward` needs of the sums.
    pub fn sums(&self) -> Vec<T> {
        [self.dbeta.as_slice(), &self.dgamma, &self.factor].concat()
    }
}
