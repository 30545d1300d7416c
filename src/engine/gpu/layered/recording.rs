//! One step of training as a list of commands: which kernel, on which buffers, over what. Made once
//! and played for every step; nothing in it depends on the step.

use super::Kernels;
use super::buffers::{LayerBuffers, LayeredBuffers, NormBuffers, WaveBuffers};
use crate::engine::gpu::GpuDevice;
use crate::engine::gpu::kernels::{
    Binding, Inputs, Kernel, WeightsResult, batch_norm_backward, batch_norm_backward_statistics,
    batch_norm_forward, batch_norm_statistics, dense_backward_input, dense_backward_weights,
    dense_forward, end_of_epoch, evaluate, find_non_finite, softmax_cross_entropy, step, update,
    whole,
};
use crate::engine::gpu::layout::Tile;
use crate::engine::gpu::transfer::Slice;

/// How the workgroups of a dispatch grow with the members and tiles that take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// So many for each tile of rows.
    Tiles(u32),
    /// So many for each member.
    Members(u32),
    /// So many in all: over every kept member, whether it takes part or not.
    All(u32),
}

impl Work {
    fn workgroups(self, members: u32, tiles: u32) -> u32 {
        match self {
            Self::Tiles(each) => tiles.checked_mul(each),
            Self::Members(each) => members.checked_mul(each),
            Self::All(workgroups) => Some(workgroups),
        }
        .expect("buffers are smaller than 2^32 workgroups' tiles")
    }
}

/// One dispatch.
#[derive(Debug)]
pub struct Command<'k> {
    /// What runs.
    pub kernel: &'k Kernel,
    /// On which buffers.
    pub bindings: wgpu::BindGroup,
    /// Over what.
    pub work: Work,
}

/// Dispatches that follow each other.
#[derive(Debug, Default)]
pub struct Recording<'k> {
    /// In their order.
    pub commands: Vec<Command<'k>>,
}

impl<'k> Recording<'k> {
    fn push(&mut self, kernel: &'k Kernel, bindings: wgpu::BindGroup, work: Work) {
        self.commands.push(Command {
            kernel,
            bindings,
            work,
        });
    }

    /// Plays it for the first `members` of the live list and their `tiles`.
    pub fn play(&self, pass: &mut wgpu::ComputePass<'_>, members: u32, tiles: u32) {
        for command in &self.commands {
            let workgroups = command.work.workgroups(members, tiles);
            command.kernel.dispatch(pass, &command.bindings, workgroups);
        }
    }
}

/// What recordings are made of.
#[derive(Clone, Copy)]
pub struct Recorder<'w, 'k> {
    /// The device.
    pub gpu: &'w GpuDevice,
    /// Compiled kernels.
    pub kernels: &'k Kernels,
    /// The wave's buffers.
    pub wave: &'w WaveBuffers,
    /// Those of the layered engine.
    pub buffers: &'w LayeredBuffers,
    /// Members in the live list.
    pub members: u32,
    /// Tiles of their batches.
    pub tiles: u32,
}

/// Where an evaluation's rows are.
pub struct EvaluationBindings<'w> {
    /// [`Cursor`](crate::engine::gpu::layout::Cursor) of each slot, over the rows to evaluate.
    pub cursors: &'w wgpu::Buffer,
    /// Row numbers, fold after fold.
    pub rows: &'w wgpu::Buffer,
    /// The tiles of one group.
    pub tiles: Binding<'w>,
    /// Loss of each block of 16 rows.
    pub partials: &'w wgpu::Buffer,
}

/// What a forward pass is for.
enum Pass<'a, 'w> {
    /// The batch that each member is at.
    Training,
    /// Given rows, with running statistics and without dropout.
    Evaluation(&'a EvaluationBindings<'w>),
}

/// Parameters that are updated from an arena.
struct Parameters<'a> {
    layer: &'a wgpu::Buffer,
    member_stride: u32,
    weights: &'a Slice,
    moments: &'a Slice,
}

impl<'w, 'k> Recorder<'w, 'k> {
    /// One step of training: forward pass, loss, `step`, backward passes, updates.
    ///
    /// All gradients of inputs come before the first update, so that they read the old weights and
    /// the updates of different layers need not wait for each other.
    pub fn step(&self) -> Recording<'k> {
        let mut out = Recording::default();
        self.forward(&mut out, &Pass::Training);
        self.loss(&mut out);
        let layers = self.buffers.layers.len();
        for l in (1..layers).rev() {
            self.backward_input(&mut out, l);
            self.backward_norm(&mut out, l - 1);
        }
        for l in (0..layers).rev() {
            self.backward_weights(&mut out, l);
        }
        out
    }

    /// The end of an epoch: are the parameters finite; then loss and counters.
    pub fn end_of_epoch(&self) -> Recording<'k> {
        let (b, device) = (self.buffers, &self.gpu.device);
        let mut out = Recording::default();
        for layer in &b.layers {
            self.find_non_finite(&mut out, &layer.backward_weights, &layer.weights);
            if let Some(norm) = &layer.norm {
                self.find_non_finite(&mut out, &norm.scale_layer, &norm.scale);
                self.find_non_finite(&mut out, &norm.scale_layer, &norm.running);
            }
        }
        let kernel = &self.kernels.end_of_epoch;
        let bindings = end_of_epoch::Bindings {
            members: whole(&self.wave.members),
            live: self.live(),
            marks: whole(&b.marks),
            states: whole(&self.wave.states),
        };
        let work = Work::All(self.members.div_ceil(end_of_epoch::WORKGROUP_MEMBERS));
        out.push(kernel, bindings.bind(device, kernel), work);
        out
    }

    fn find_non_finite(&self, out: &mut Recording<'k>, layer: &wgpu::Buffer, values: &Slice) {
        let kernel = &self.kernels.find_non_finite;
        let bindings = find_non_finite::Bindings {
            layer: whole(layer),
            live: self.live(),
            values: values.binding(),
            marks: whole(&self.buffers.marks),
        };
        let bindings = bindings.bind(&self.gpu.device, kernel);
        out.push(kernel, bindings, Work::Members(1));
    }

    /// An evaluation of the batches that members are at: before the first epoch, of no rows.
    pub fn nothing(&self) -> EvaluationBindings<'w> {
        EvaluationBindings {
            cursors: &self.buffers.forward,
            rows: &self.wave.orders,
            tiles: self.tiles(),
            partials: &self.buffers.partials,
        }
    }

    /// Forward pass and counts of one group of an evaluation's tiles.
    pub fn evaluation(&self, at: &EvaluationBindings<'w>) -> Recording<'k> {
        let b = self.buffers;
        let mut out = Recording::default();
        self.forward(&mut out, &Pass::Evaluation(at));
        let last = self.last();
        let kernel = &self.kernels.evaluate;
        let bindings = evaluate::Bindings {
            layer: whole(&last.evaluation),
            cursors: whole(at.cursors),
            tiles: at.tiles.clone(),
            targets: whole(&self.wave.data.rows.targets),
            orders: whole(at.rows),
            logits: whole(&last.outputs),
            partials: whole(at.partials),
            counts: whole(&b.counts),
        };
        let bindings = bindings.bind(&self.gpu.device, kernel);
        out.push(kernel, bindings, Work::Tiles(1));
        out
    }

    fn forward(&self, out: &mut Recording<'k>, pass: &Pass<'_, 'w>) {
        for (l, layer) in self.buffers.layers.iter().enumerate() {
            self.dense_forward(out, l, layer, pass);
            if let Some(norm) = &layer.norm {
                if matches!(pass, Pass::Training) {
                    self.norm_statistics(out, norm);
                }
                self.norm_forward(out, layer, norm, pass);
            }
        }
    }

    fn dense_forward(
        &self,
        out: &mut Recording<'k>,
        l: usize,
        layer: &'w LayerBuffers,
        pass: &Pass<'_, 'w>,
    ) {
        let (uniform, orders) = match pass {
            Pass::Training => (&layer.forward, &self.wave.orders),
            Pass::Evaluation(at) => (&layer.evaluation, at.rows),
        };
        let inputs = self.inputs(l, orders);
        let outputs = layer.norm.as_ref().map_or(&layer.outputs, |n| &n.inputs);
        let kernel = self
            .kernels
            .dense_forward(inputs.source(), layer.data.outputs);
        let bindings = dense_forward::Bindings {
            layer: whole(uniform),
            members: whole(&self.wave.members),
            cursors: self.cursors(pass),
            tiles: self.tiles_of(pass),
            weights: layer.weights.binding(),
            inputs,
            outputs: whole(outputs),
        };
        let work = Work::Tiles(layer.forward_columns);
        out.push(kernel, bindings.bind(&self.gpu.device, kernel), work);
    }

    fn norm_statistics(&self, out: &mut Recording<'k>, norm: &NormBuffers) {
        let kernel = &self.kernels.batch_norm_statistics;
        let bindings = batch_norm_statistics::Bindings {
            layer: whole(&norm.statistics_layer),
            members: whole(&self.wave.members),
            cursors: whole(&self.buffers.forward),
            live: self.live(),
            z: whole(&norm.inputs),
            statistics: whole(&norm.statistics),
        };
        let work = Work::Members(norm.statistics_columns);
        out.push(kernel, bindings.bind(&self.gpu.device, kernel), work);
    }

    fn norm_forward(
        &self,
        out: &mut Recording<'k>,
        layer: &'w LayerBuffers,
        norm: &'w NormBuffers,
        pass: &Pass<'_, 'w>,
    ) {
        let (uniform, statistics) = match pass {
            Pass::Training => (&norm.forward, whole(&norm.statistics)),
            Pass::Evaluation(_) => (&norm.evaluation, norm.running.binding()),
        };
        let kernel = &self.kernels.batch_norm_forward;
        let bindings = batch_norm_forward::Bindings {
            layer: whole(uniform),
            members: whole(&self.wave.members),
            cursors: self.cursors(pass),
            tiles: self.tiles_of(pass),
            scale: norm.scale.binding(),
            statistics,
            z: whole(&norm.inputs),
            outputs: whole(&layer.outputs),
        };
        let work = Work::Tiles(norm.columns);
        out.push(kernel, bindings.bind(&self.gpu.device, kernel), work);
    }

    /// Through the batch norm behind a layer, if there is one: sums, updates, gradient.
    fn backward_norm(&self, out: &mut Recording<'k>, l: usize) {
        let layer = &self.buffers.layers[l];
        let Some(norm) = &layer.norm else {
            return;
        };
        self.norm_sums(out, l, norm);
        let kernel = &self.kernels.batch_norm_backward;
        let bindings = batch_norm_backward::Bindings {
            layer: whole(&norm.forward),
            cursors: whole(&self.buffers.backward),
            tiles: self.tiles(),
            statistics: whole(&norm.statistics),
            z: whole(&norm.inputs),
            sums: whole(&norm.sums),
            dy: self.output_gradient(l),
        };
        let bindings = bindings.bind(&self.gpu.device, kernel);
        out.push(kernel, bindings, Work::Tiles(norm.columns));
        if let Some(gradients) = &norm.gradients {
            let parameters = Parameters {
                layer: &norm.scale_layer,
                member_stride: norm.member_stride,
                weights: &norm.scale,
                moments: &norm.moments,
            };
            self.update(out, parameters, gradients);
        }
    }

    fn norm_sums(&self, out: &mut Recording<'k>, l: usize, norm: &NormBuffers) {
        let kernel = &self.kernels.batch_norm_backward_statistics;
        let result = match &norm.gradients {
            None => WeightsResult::Updated {
                weights: norm.scale.binding(),
                moments: norm.moments.binding(),
            },
            Some(gradients) => WeightsResult::GradientsBeside {
                gradients: whole(gradients),
                weights: norm.scale.binding(),
            },
        };
        let bindings = batch_norm_backward_statistics::Bindings {
            layer: whole(&norm.statistics_layer),
            members: whole(&self.wave.members),
            cursors: whole(&self.buffers.backward),
            live: self.live(),
            statistics: whole(&norm.statistics),
            z: whole(&norm.inputs),
            result,
            dy: self.output_gradient(l),
            sums: whole(&norm.sums),
            running: norm.running.binding(),
        };
        let work = Work::Members(norm.statistics_columns);
        out.push(kernel, bindings.bind(&self.gpu.device, kernel), work);
    }

    fn loss(&self, out: &mut Recording<'k>) {
        let (b, device) = (self.buffers, &self.gpu.device);
        let last = self.last();
        let kernel = &self.kernels.softmax_cross_entropy;
        let bindings = softmax_cross_entropy::Bindings {
            layer: whole(&last.forward),
            cursors: whole(&b.forward),
            tiles: self.tiles(),
            targets: whole(&self.wave.data.rows.targets),
            logits: whole(&last.outputs),
            partials: whole(&b.partials),
            orders: whole(&self.wave.orders),
        };
        out.push(kernel, bindings.bind(device, kernel), Work::Tiles(1));
        let kernel = &self.kernels.step;
        let bindings = step::Bindings {
            members: whole(&self.wave.members),
            live: self.live(),
            partials: whole(&b.partials),
            states: whole(&self.wave.states),
            forward: whole(&b.forward),
            backward: whole(&b.backward),
        };
        // Also members that take no part: a dispatch that is folded to two dimensions may reach a few
        // behind the prefix, and these must find no rows in `backward`.
        let work = Work::All(self.members.div_ceil(step::WORKGROUP_MEMBERS));
        out.push(kernel, bindings.bind(device, kernel), work);
    }

    fn backward_input(&self, out: &mut Recording<'k>, l: usize) {
        let (layer, before) = (&self.buffers.layers[l], &self.buffers.layers[l - 1]);
        let kernel = self.kernels.dense_backward_input(layer.data.inputs);
        let bindings = dense_backward_input::Bindings {
            layer: whole(&layer.backward_input),
            members: whole(&self.wave.members),
            cursors: whole(&self.buffers.backward),
            tiles: self.tiles(),
            weights: layer.weights.binding(),
            dy: self.output_gradient(l),
            h: whole(&before.outputs),
            dz: self.output_gradient(l - 1),
        };
        let work = Work::Tiles(layer.input_columns);
        out.push(kernel, bindings.bind(&self.gpu.device, kernel), work);
    }

    fn backward_weights(&self, out: &mut Recording<'k>, l: usize) {
        let (b, device) = (self.buffers, &self.gpu.device);
        let layer = &b.layers[l];
        let inputs = self.inputs(l, &self.wave.orders);
        let kernel = self
            .kernels
            .dense_backward_weights(inputs.source(), layer.data.outputs);
        let result = match &layer.gradients {
            None => WeightsResult::Updated {
                weights: layer.weights.binding(),
                moments: layer.moments.binding(),
            },
            Some(gradients) => WeightsResult::Gradients(whole(gradients)),
        };
        let bindings = dense_backward_weights::Bindings {
            layer: whole(&layer.backward_weights),
            members: whole(&self.wave.members),
            cursors: whole(&b.backward),
            live: self.live(),
            dy: self.output_gradient(l),
            inputs,
            result,
        };
        let work = Work::Members(layer.weight_tiles);
        out.push(kernel, bindings.bind(device, kernel), work);
        if let Some(gradients) = &layer.gradients {
            let parameters = Parameters {
                layer: &layer.backward_weights,
                member_stride: layer.data.member_stride,
                weights: &layer.weights,
                moments: &layer.moments,
            };
            self.update(out, parameters, gradients);
        }
    }

    fn update(&self, out: &mut Recording<'k>, of: Parameters<'_>, gradients: &wgpu::Buffer) {
        let b = self.buffers;
        let kernel = &self.kernels.update;
        let bindings = update::Bindings {
            layer: whole(of.layer),
            members: whole(&self.wave.members),
            cursors: whole(&b.backward),
            live: self.live(),
            gradients: whole(gradients),
            weights: of.weights.binding(),
            moments: of.moments.binding(),
        };
        let work = Work::Members(update::workgroups_a_member(of.member_stride));
        out.push(kernel, bindings.bind(&self.gpu.device, kernel), work);
    }

    fn cursors(&self, pass: &Pass<'_, 'w>) -> Binding<'w> {
        match pass {
            Pass::Training => whole(&self.buffers.forward),
            Pass::Evaluation(at) => whole(at.cursors),
        }
    }

    fn tiles_of(&self, pass: &Pass<'_, 'w>) -> Binding<'w> {
        match pass {
            Pass::Training => self.tiles(),
            Pass::Evaluation(at) => at.tiles.clone(),
        }
    }

    fn inputs(&self, l: usize, orders: &'w wgpu::Buffer) -> Inputs<'w> {
        let data = &self.wave.data;
        match l.checked_sub(1) {
            Some(before) => Inputs::Activations(whole(&self.buffers.layers[before].outputs)),
            None => Inputs::Dataset {
                source: data.rows.source,
                features: whole(&data.rows.features),
                orders: whole(orders),
                scaling: whole(&data.scaling),
            },
        }
    }

    /// The gradient behind a layer: in the logits' place for the last.
    fn output_gradient(&self, l: usize) -> Binding<'w> {
        let layer = &self.buffers.layers[l];
        whole(layer.output_gradients.as_ref().unwrap_or(&layer.outputs))
    }

    /// Classes of the data.
    pub fn classes(&self) -> usize {
        self.last().data.outputs as usize
    }

    fn last(&self) -> &'w LayerBuffers {
        let layers = &self.buffers.layers;
        &layers[layers.len() - 1]
    }

    /// The kept members: kernels take the length of the binding for that of the list.
    fn live(&self) -> Binding<'w> {
        part(&self.buffers.live, 0, 4 * u64::from(self.members))
    }

    fn tiles(&self) -> Binding<'w> {
        let bytes = size_of::<Tile>() as u64 * u64::from(self.tiles);
        part(&self.buffers.tiles, 0, bytes)
    }
}

/// A part of a buffer; `bytes` is above 0.
pub fn part(buffer: &wgpu::Buffer, offset: u64, bytes: u64) -> Binding<'_> {
    Binding {
        buffer,
        offset,
        size: wgpu::BufferSize::new(bytes),
    }
}
