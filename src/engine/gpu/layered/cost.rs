//! A model of one step: its useful operations, the bytes it moves at least, its dispatches.
//!
//! Each dispatch reads and writes every value it needs once; what several workgroups read again is
//! taken to come from a cache. Rows are padded to whole `vec4`s, as they are in the buffers, and
//! batches are not padded. What a step loads besides is counted as `lists`: members, cursors, tiles,
//! row numbers, targets, and the sums of the loss.

use serde::{Deserialize, Serialize};

use crate::engine::gpu::layout::{Cursor, MemberData, State, Tile};
use crate::plan::{BufferLayout, LayerBytes};
use crate::train::{Hyperparameters, Shape};

use super::lists::BLOCK_ROWS;

/// What one step of a wave costs in which all its members take part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepCost {
    /// Useful floating-point operations, by [`Shape::flops_per_sample`].
    pub flops: u64,
    /// Bytes that the dispatches read.
    pub bytes_read: u64,
    /// Bytes that they write.
    pub bytes_written: u64,
    /// Dispatches.
    pub dispatches: u64,
}

/// Bytes of what the members of a wave keep or need in one step, each value once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepBytes {
    /// Parameters, moments, activations and gradients, layer after layer.
    pub layers: Vec<LayerBytes>,
    /// Rows of features as they are stored.
    pub features: u64,
    /// [`MemberData`] of all members.
    pub members: u64,
    /// A [`Cursor`] of each.
    pub cursors: u64,
    /// A [`State`] of each.
    pub states: u64,
    /// A word of each: its slot.
    pub live: u64,
    /// The tiles of all batches.
    pub tiles: u64,
    /// Loss of each block of rows.
    pub partials: u64,
    /// A word a row: its number in the dataset, or its class.
    pub row_words: u64,
}

impl StepBytes {
    /// Of a wave; `feature_row` is the bytes of one padded row of features.
    pub fn new(
        shape: &Shape,
        members: &[Hyperparameters],
        layout: BufferLayout,
        feature_row: u64,
    ) -> Self {
        // The rows of a batch themselves, not their padding.
        let exact = BufferLayout {
            row_tile: 1,
            most_resident_bytes: 0,
            ..layout
        };
        let mut layers = vec![LayerBytes::default(); shape.layers().len()];
        let (mut rows, mut tiles, mut blocks) = (0, 0, 0);
        for member in members {
            let batch = member.batch_size as u64;
            rows += batch;
            tiles += batch.div_ceil(layout.row_tile);
            blocks += batch.div_ceil(u64::from(BLOCK_ROWS));
            for (sum, bytes) in layers.iter_mut().zip(exact.member(shape, member)) {
                sum.add(&bytes);
            }
        }
        let each = |bytes: usize| members.len() as u64 * bytes as u64;
        Self {
            layers,
            features: rows * feature_row,
            members: each(size_of::<MemberData>()),
            cursors: each(size_of::<Cursor>()),
            states: each(size_of::<State>()),
            live: each(size_of::<u32>()),
            tiles: tiles * size_of::<Tile>() as u64,
            partials: 4 * blocks,
            row_words: 4 * rows,
        }
    }

    /// What lists a dispatch over tiles of rows reads.
    fn by_tile(&self) -> u64 {
        self.members + self.cursors + self.tiles
    }

    /// What lists a dispatch over members reads.
    fn by_member(&self) -> u64 {
        self.members + self.cursors + self.live
    }

    /// The inputs of a layer: the dataset's rows with their numbers, or the outputs before.
    fn inputs(&self, l: usize) -> u64 {
        match l.checked_sub(1) {
            Some(before) => self.layers[before].outputs,
            None => self.features + self.row_words,
        }
    }

    /// The gradient behind a layer: in the logits' place for the last.
    fn gradient_behind(&self, l: usize) -> u64 {
        if l + 1 == self.layers.len() {
            self.layers[l].outputs
        } else {
            self.layers[l].output_gradients
        }
    }
}

impl StepCost {
    /// Of a step of these members; `feature_row` is the bytes of one padded row of features.
    pub fn new(
        shape: &Shape,
        members: &[Hyperparameters],
        layout: BufferLayout,
        feature_row: u64,
    ) -> Self {
        let rows: u64 = members.iter().map(|m| m.batch_size as u64).sum();
        let bytes = StepBytes::new(shape, members, layout, feature_row);
        let mut cost = Self {
            flops: rows * shape.flops_per_sample(),
            ..Self::default()
        };
        let layers = bytes.layers.len();
        for l in 0..layers {
            cost.dense_forward(&bytes, l);
            cost.norm_forward(&bytes, l);
        }
        cost.loss(&bytes);
        for l in 1..layers {
            cost.dense_backward_input(&bytes, l);
            cost.norm_backward(&bytes, l - 1, layout.gradients);
        }
        for l in 0..layers {
            cost.dense_backward_weights(&bytes, l, layout.gradients);
        }
        cost
    }

    fn dispatch(&mut self, read: u64, written: u64) {
        self.bytes_read += read;
        self.bytes_written += written;
        self.dispatches += 1;
    }

    fn dense_forward(&mut self, bytes: &StepBytes, l: usize) {
        let layer = bytes.layers[l];
        let read = bytes.inputs(l) + layer.weights + bytes.by_tile();
        self.dispatch(read, layer.outputs);
    }

    /// `softmax_cross_entropy` turns logits into their gradient in place; `step` sums the losses.
    fn loss(&mut self, bytes: &StepBytes) {
        let logits = bytes.layers[bytes.layers.len() - 1].outputs;
        let lists = 2 * bytes.row_words + bytes.cursors + bytes.tiles;
        self.dispatch(logits + lists, logits + bytes.partials);
        let read = bytes.by_member() + bytes.partials + bytes.states;
        self.dispatch(read, bytes.states + 2 * bytes.cursors);
    }

    fn dense_backward_input(&mut self, bytes: &StepBytes, l: usize) {
        let read = bytes.layers[l].weights + bytes.gradient_behind(l) + bytes.inputs(l);
        self.dispatch(read + bytes.by_tile(), bytes.gradient_behind(l - 1));
    }

    /// Statistics of the batch, then the normalized values, where batch norm follows the layer.
    fn norm_forward(&mut self, bytes: &StepBytes, l: usize) {
        let LayerBytes { norm, outputs, .. } = bytes.layers[l];
        if norm.inputs > 0 {
            self.dispatch(norm.inputs + bytes.by_member(), norm.scale);
            self.dispatch(norm.inputs + 2 * norm.scale + bytes.by_tile(), outputs);
        }
    }

    /// Sums with the update of gamma, beta and running statistics; then the gradient in place.
    fn norm_backward(&mut self, bytes: &StepBytes, l: usize, arena: bool) {
        let norm = bytes.layers[l].norm;
        if norm.inputs == 0 {
            return;
        }
        let rows = norm.inputs + bytes.gradient_behind(l);
        let updated = norm.scale + norm.moments;
        let (statistics, running) = (norm.scale, norm.scale);
        let read = rows + statistics + running + bytes.by_member();
        if arena {
            let written = norm.sums + running + norm.gradients;
            self.dispatch(read + norm.scale, written);
        } else {
            self.dispatch(read + updated, norm.sums + running + updated);
        }
        let read = rows + statistics + norm.sums + bytes.cursors + bytes.tiles;
        self.dispatch(read, bytes.gradient_behind(l));
        if arena {
            let read = norm.gradients + updated + bytes.by_member();
            self.dispatch(read, updated);
        }
    }

    /// The update follows in the same dispatch, or from an arena of gradients in another.
    fn dense_backward_weights(&mut self, bytes: &StepBytes, l: usize, arena: bool) {
        let layer = bytes.layers[l];
        let product = bytes.gradient_behind(l) + bytes.inputs(l) + bytes.by_member();
        let updated = layer.weights + layer.moments;
        if arena {
            self.dispatch(product, layer.gradients);
            let read = layer.gradients + updated + bytes.by_member();
            self.dispatch(read, updated);
        } else {
            self.dispatch(product + updated, updated);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataConfig, Dataset, Splits, load, split};
    use crate::engine::gpu::layered::Kernels;
    use crate::engine::gpu::layered::buffers::{
        LEAST_ROWS, OwnBuffers, WaveBuffers, predicted_bytes,
    };
    use crate::engine::gpu::layered::feature_bytes;
    use crate::engine::gpu::layered::placement::Placement;
    use crate::engine::gpu::layered::recording::Recorder;
    use crate::engine::gpu::{GpuDevice, Options, enumerate};
    use crate::engine::{TrainingData, WaveSetup};
    use crate::plan::NormBytes;
    use crate::seed::Seed;
    use crate::train::{Activation, Member, MemberId, Optimizer};

    /// Batches that tiles cut into whole ones, so that no buffer is padded.
    const BATCH_SIZES: [usize; 3] = [32, 64, 128];

    fn optimizers() -> [Optimizer; 3] {
        let adam = Optimizer::Adam {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
        };
        let sgd = |momentum| Optimizer::Sgd {
            momentum,
            nesterov: false,
        };
        [sgd(0.0), adam, sgd(0.9)]
    }

    fn members(count: usize) -> Vec<Member> {
        let member = |i: usize| Member {
            shape: 0,
            id: MemberId {
                trial: i as u64,
                repeat: 0,
                fold: 0,
            },
            hyperparameters: Hyperparameters {
                learning_rate: 0.001,
                batch_size: BATCH_SIZES[i % 3],
                optimizer: optimizers()[i / 3 % 3],
                activation: Activation::Relu,
                dropout: 0.0,
            },
        };
        (0..count).map(member).collect()
    }

    fn digits() -> (Dataset, Splits) {
        let config = DataConfig::default();
        let dataset = load(&config).unwrap();
        let splits = split(&dataset, &config, Seed(0)).unwrap();
        (dataset, splits)
    }

    fn layout(options: Options) -> BufferLayout {
        BufferLayout {
            most_resident_bytes: 0,
            most_buffer_bytes: u64::MAX,
            row_tile: u64::from(options.tiles.rows.rows),
            gradients: options.arena,
            gathers: false,
            most_mixed_bytes: 0,
        }
    }

    #[test]
    fn the_models_bytes_are_those_of_the_buffers_and_its_dispatches_those_recorded() {
        let (dataset, splits) = digits();
        let members = members(18);
        for adapter in enumerate().iter().filter(|a| a.refusal().is_none()) {
            println!("on {} {}", adapter.backend(), adapter.name());
            let gpu = adapter.open().unwrap();
            for arena in [false, true] {
                for (hidden, batch_norm) in [
                    (&[][..], false),
                    (&[64], false),
                    (&[30, 7], false),
                    (&[30, 7], true),
                ] {
                    let shape = Shape::new(64, hidden, 10).with_batch_norm(batch_norm);
                    let setup = WaveSetup {
                        data: TrainingData {
                            dataset: &dataset,
                            splits: &splits,
                        },
                        shapes: std::slice::from_ref(&shape),
                        members: &members,
                        seed: Seed(0),
                    };
                    let options = Options {
                        arena,
                        ..Options::for_kind(adapter.kind())
                    };
                    compare(&gpu, &setup, options);
                }
            }
        }
    }

    #[track_caller]
    fn compare(gpu: &GpuDevice, setup: &WaveSetup<'_, '_>, options: Options) {
        let (layout, tiles) = (layout(options), options.tiles);
        let placement = Placement::new(setup, layout);
        assert!(placement.rows >= LEAST_ROWS, "no buffer is padded");
        let (buffers, own) = WaveBuffers::new(gpu, setup, &placement, layout, &options).unwrap();
        let OwnBuffers::Layered(own) = own else {
            unreachable!("no shape is resident here");
        };
        let kernels = Kernels::compile(gpu, &options, buffers.data.rows.source).unwrap();
        let hyperparameters: Vec<_> = setup.members.iter().map(|m| m.hyperparameters).collect();
        let rows = setup.data.dataset.rows() as u64;
        let feature_row = feature_bytes(&setup.data.dataset.features) / rows;
        let model = StepBytes::new(&setup.shapes[0], &hyperparameters, layout, feature_row);
        for (bytes, layer) in model.layers.iter().zip(&own.layers) {
            let size =
                |buffer: &Option<wgpu::Buffer>| buffer.as_ref().map_or(0, wgpu::Buffer::size);
            assert_eq!(bytes.weights, layer.weights.bytes);
            assert_eq!(bytes.moments, layer.moments.bytes);
            assert_eq!(bytes.outputs, layer.outputs.size());
            assert_eq!(bytes.output_gradients, size(&layer.output_gradients));
            assert_eq!(bytes.gradients, size(&layer.gradients));
            let Some(norm) = &layer.norm else {
                assert_eq!(bytes.norm, NormBytes::default());
                continue;
            };
            assert_eq!(bytes.norm.inputs, norm.inputs.size());
            for slice in [&norm.scale, &norm.running] {
                assert_eq!(bytes.norm.scale, slice.bytes);
            }
            assert_eq!(bytes.norm.statistics, norm.statistics.size());
            assert_eq!(bytes.norm.moments, norm.moments.bytes);
            assert_eq!(bytes.norm.sums, norm.sums.size());
            assert_eq!(bytes.norm.gradients, size(&norm.gradients));
        }
        assert_eq!(feature_row * rows, buffers.data.rows.features.size());
        assert_eq!(model.members, buffers.members.size());
        assert_eq!(model.cursors, own.forward.size());
        assert_eq!(model.states, buffers.states.size());
        assert_eq!(model.live, own.live.size());
        assert_eq!(model.tiles, own.tiles.size());
        assert_eq!(model.partials, own.partials.size());
        assert_eq!(predicted_bytes(setup, layout, tiles), buffers.bytes);
        let recorder = Recorder {
            gpu,
            kernels: &kernels,
            wave: &buffers,
            buffers: &own,
            members: 1,
            tiles: 1,
        };
        let cost = StepCost::new(&setup.shapes[0], &hyperparameters, layout, feature_row);
        assert_eq!(cost.dispatches, recorder.step().commands.len() as u64);
        gpu.check().unwrap();
    }

    /// The figures of METHODOLOGY.md: one member, Adam.
    fn one_member(shape: &Shape, batch_size: usize, feature_row: u64) -> StepCost {
        let member = Hyperparameters {
            batch_size,
            ..Hyperparameters::largest(batch_size)
        };
        let options = Options::for_kind(crate::engine::gpu::AdapterKind::Discrete);
        StepCost::new(shape, &[member], layout(options), feature_row)
    }

    #[test]
    fn the_figures_of_the_documents() {
        let digits = one_member(&Shape::new(64, &[64], 10), 32, 64);
        assert_eq!(digits.flops, 32 * 20_224);
        let pixels = one_member(&Shape::new(784, &[256, 256], 10), 256, 784);
        assert_eq!(pixels.flops, 256 * 1_211_392);
        let bytes = |cost: StepCost| (cost.bytes_read, cost.bytes_written, cost.dispatches);
        assert_eq!(bytes(digits), (125_100, 78_856, 7));
        assert_eq!(bytes(pixels), (7_396_660, 4_311_360, 10));
    }

    #[test]
    fn dispatches_are_three_a_hidden_layer_and_four() {
        for hidden in 0..5 {
            let shape = Shape::new(4, &vec![8; hidden], 3);
            let cost = one_member(&shape, 7, 4);
            assert_eq!(cost.dispatches, 3 * hidden as u64 + 4);
        }
    }
}
