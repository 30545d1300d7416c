//! One epoch of a wave: what is written before it, and the submissions that it is made of.

use std::ops::Range;

use super::GpuWave;
use crate::engine::EngineError;
use crate::engine::gpu::layered::lists::active_prefix;
use crate::engine::gpu::layered::pace::Pace;
use crate::engine::gpu::layered::recording::Recording;
use crate::engine::gpu::layout::Cursor;
use crate::engine::gpu::resident::{Resident, Slices, rows_left};
use crate::engine::gpu::timing::PassKind;
use crate::engine::gpu::transfer;
use crate::train::{MemberId, row_order};

/// What a step costs beside its tiles, in tiles: dispatches have a price of their own.
const STEP_TILES: u32 = 16;

impl GpuWave<'_> {
    /// The earliest unfinished epoch below `epoch` that a live member is in.
    pub(super) fn behind(&self, epoch: u32) -> Option<u32> {
        let states = self
            .lists
            .live
            .iter()
            .map(|&slot| &self.states[slot as usize]);
        let live = states.filter(|state| state.diverged == 0);
        live.map(|state| state.epoch).min().filter(|&at| at < epoch)
    }

    /// Writes what the epoch needs: row orders, unless they are there from before a pause, and the
    /// next batch of every member that is in it.
    fn begin_epoch(&mut self, epoch: u32) {
        if self.orders_of != Some(epoch) {
            self.write_orders(epoch);
            self.orders_of = Some(epoch);
        }
        let cursors: Vec<Cursor> = self
            .placement
            .data
            .iter()
            .zip(&self.states)
            .map(|(data, state)| {
                let rows = data.batch_size.min(rows_left(data, state, epoch));
                Cursor {
                    first: data.order_start + state.position,
                    rows,
                    steps: state.steps,
                    scaling: data.scaling,
                    inverse_rows: 1.0 / rows.max(1) as f32,
                    ..Cursor::default()
                }
            })
            .collect();
        transfer::write(&self.gpu, &self.buffers.forward, &cursors);
    }

    fn write_orders(&self, epoch: u32) {
        let mut orders = Vec::with_capacity(self.placement.order_rows as usize);
        for order in &self.placement.orders {
            let MemberId { repeat, fold, .. } = order.id;
            let rows = &self.data.fold(order.id).train;
            orders.extend(row_order(rows, self.seed, repeat, fold, epoch));
        }
        transfer::write(&self.gpu, &self.buffers.orders, &orders);
    }

    /// Steps that each live member has left in the epoch.
    fn remaining(&self, epoch: u32) -> Vec<u32> {
        let remaining = |&slot: &u32| {
            let (data, state) = (
                &self.placement.data[slot as usize],
                &self.states[slot as usize],
            );
            rows_left(data, state, epoch).div_ceil(data.batch_size)
        };
        self.lists.live.iter().map(remaining).collect()
    }

    /// Trains the members that are in this epoch to its end; `false` when `pause` stopped it, which
    /// is asked after each submission: however often it says so, training goes on.
    pub(super) fn train_epoch(
        &mut self,
        epoch: u32,
        pause: &(dyn Fn() -> bool + Sync),
    ) -> Result<bool, EngineError> {
        self.begin_epoch(epoch);
        let mut pace = std::mem::take(&mut self.pace);
        let reached = match &self.resident {
            Some(resident) => self.submit_resident(resident, epoch, pause, &mut pace),
            None => self.submit_epoch(epoch, pause, &mut pace),
        };
        self.pace = pace;
        let reached = reached?;
        self.read_states()?;
        Ok(reached)
    }

    fn submit_epoch(
        &self,
        epoch: u32,
        pause: &(dyn Fn() -> bool + Sync),
        pace: &mut Pace,
    ) -> Result<bool, EngineError> {
        let remaining = self.remaining(epoch);
        let steps = remaining.iter().copied().max().unwrap_or(0);
        let recorder = self.recorder();
        let (recorded, end) = (recorder.step(), recorder.end_of_epoch());
        pace.begin();
        let mut step = 0;
        while step < steps {
            if step > 0 && pause() {
                return Ok(false);
            }
            let (until, work) = self.next_steps(&remaining, step..steps, pace.budget());
            let commands = self.encode(&recorded, &remaining, step..until)?;
            pace.submit(&self.gpu, commands, work)?;
            step = until;
        }
        let play = |pass: &mut wgpu::ComputePass<'_>| {
            end.play(pass, recorder.members, recorder.tiles);
        };
        let commands = self.pass("regatta.end_of_epoch", end.commands.len(), play)?;
        self.gpu.queue.submit([commands]);
        Ok(true)
    }

    /// How many of these steps the next submission takes, at least one, and their work.
    fn next_steps(&self, remaining: &[u32], steps: Range<u32>, budget: f64) -> (u32, f64) {
        let (mut until, mut work) = (steps.start, 0.0);
        while until == steps.start || until < steps.end && work < budget {
            let tiles = self.lists.tiles[active_prefix(remaining, until)];
            work += f64::from(tiles + STEP_TILES);
            until += 1;
        }
        (until, work)
    }

    fn encode(
        &self,
        recorded: &Recording<'_>,
        remaining: &[u32],
        steps: Range<u32>,
    ) -> Result<wgpu::CommandBuffer, EngineError> {
        let dispatches = steps.len() * recorded.commands.len();
        self.pass("regatta.steps", dispatches, |pass| {
            for step in steps {
                let members = active_prefix(remaining, step);
                recorded.play(pass, self.live_count(members), self.lists.tiles[members]);
            }
        })
    }

    /// An epoch by the resident kernel: slices of time, in each of which every member trains on about as
    /// many rows.
    fn submit_resident(
        &self,
        resident: &Resident,
        epoch: u32,
        pause: &(dyn Fn() -> bool + Sync),
        pace: &mut Pace,
    ) -> Result<bool, EngineError> {
        let bindings = resident.bind(&self.gpu, &self.buffers);
        let mut slices = Slices::new(
            &self.placement.data,
            &self.states,
            epoch,
            resident.most_steps,
        );
        pace.begin();
        let mut first = true;
        while let Some(slice) = slices.next(pace.budget()) {
            if !first && pause() {
                return Ok(false);
            }
            first = false;
            resident.write_run(
                &self.gpu,
                &self.buffers,
                self.tile_rows(),
                epoch,
                slice.rows,
            );
            let commands = self.pass("regatta.resident", 1, |pass| {
                resident.kernel().dispatch(pass, &bindings, slice.members);
            })?;
            pace.submit(&self.gpu, commands, slice.work)?;
        }
        Ok(true)
    }

    /// One pass of so many dispatches, measured where that was asked for.
    fn pass(
        &self,
        label: &str,
        dispatches: usize,
        play: impl FnOnce(&mut wgpu::ComputePass<'_>),
    ) -> Result<wgpu::CommandBuffer, EngineError> {
        let timed = self
            .timer
            .as_ref()
            .map(|timer| timer.begin(PassKind::Train));
        let timed = timed.transpose()?;
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some(label),
            timestamp_writes: timed.as_ref().and_then(|timed| timed.writes()),
        });
        play(&mut pass);
        drop(pass);
        let commands = encoder.finish();
        if let (Some(timer), Some(timed)) = (&self.timer, &timed) {
            timer.end(timed, dispatches as u64);
        }
        Ok(commands)
    }
}
