//! A wave on the cpu engine.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, TryLockError};

use rayon::ThreadPool;
use rayon::prelude::*;

use super::aligned::aligned;
use super::gather::ScaledFeatures;
use super::network::{Batch, Network, Workspace};
use super::real::Real;
use crate::engine::{
    EngineError, Evaluation, MemberSnapshot, MemberStatus, Part, Progress, Running, TrainingData,
    WaveSetup,
};
use crate::seed::Seed;
use crate::train::{
    DIVERGED_CROSS_ENTROPY, Member, MemberId, Shape, dropout_key, initial_parameters,
    initial_running, row_order,
};

/// One member and how far it is.
struct Slot<T> {
    member: Member,
    network: Network<T>,
    samples: u64,
    epoch: u32,
    cursor: usize,
    loss_sum: f64,
    train_loss: f64,
    diverged: bool,
}

/// Members that are trained one thread each; where there are fewer than threads, the others share their
/// large products.
pub struct CpuWave<'r, T> {
    threads: &'r ThreadPool,
    data: TrainingData<'r>,
    shape: Shape,
    seed: Seed,
    slots: Vec<Slot<T>>,
    scaled: BTreeMap<u32, ScaledFeatures<'r, T>>,
    workspaces: Vec<Mutex<Workspace<T>>>,
}

/// Row orders of one epoch by (repeat, fold): all trials share them.
type Orders = BTreeMap<(u32, u32), Vec<u32>>;

impl<'r, T: Real> CpuWave<'r, T> {
    /// Of members of one shape.
    pub fn new(threads: &'r ThreadPool, setup: WaveSetup<'r, '_>) -> Self {
        let shape = &setup.shapes[0];
        let initial: BTreeMap<u32, Vec<f32>> = repeats(setup.members)
            .map(|repeat| {
                let parameters = initial_parameters(shape, setup.seed, repeat);
                (repeat, parameters)
            })
            .collect();
        let running = initial_running(shape);
        let slots = setup
            .members
            .iter()
            .map(|member| Slot::new(*member, &initial[&member.id.repeat], &running))
            .collect();
        let batch = setup.members.iter().map(|m| m.hyperparameters.batch_size);
        let rows = batch.max().unwrap_or(0);
        Self {
            threads,
            data: setup.data,
            shape: shape.clone(),
            seed: setup.seed,
            slots,
            scaled: scaled_features(setup),
            workspaces: (0..threads.current_num_threads())
                .map(|_| Mutex::new(Workspace::new(shape, rows)))
                .collect(),
        }
    }

    /// One epoch of every live member that has finished exactly `epoch` epochs.
    fn train_epoch(&mut self, epoch: u32, pause: &(dyn Fn() -> bool + Sync)) {
        let orders = self.orders(epoch);
        let (scaled, workspaces, seed) = (&self.scaled, &self.workspaces, self.seed);
        let targets = &self.data.dataset.targets;
        let waiting = |slot: &Slot<T>| slot.epoch == epoch && !slot.diverged;
        let share = self.share(waiting);
        let slots = &mut self.slots;
        self.threads.install(|| {
            slots
                .par_iter_mut()
                .with_max_len(1)
                .filter(|slot| waiting(slot))
                .for_each(|slot| {
                    let id = slot.member.id;
                    let epoch = Batch {
                        features: &scaled[&id.fold],
                        targets,
                        rows: &orders[&(id.repeat, id.fold)],
                    };
                    let key = dropout_key(seed, id.repeat, id.fold);
                    let mut workspace = free_workspace(workspaces, share);
                    slot.train_epoch(&mut workspace, epoch, key, pause);
                });
        });
    }

    /// Threads for each of the members that are worked on: those that would have none take part in
    /// the products of the others.
    fn share(&self, worked_on: impl Fn(&Slot<T>) -> bool) -> usize {
        let members = self.slots.iter().filter(|slot| worked_on(slot)).count();
        self.threads.current_num_threads() / members.max(1)
    }

    fn orders(&self, epoch: u32) -> Orders {
        let waiting = |slot: &&Slot<T>| slot.epoch == epoch && !slot.diverged;
        let mut wanted: Vec<MemberId> = self
            .slots
            .iter()
            .filter(waiting)
            .map(|s| s.member.id)
            .collect();
        wanted.sort_unstable_by_key(|id| (id.repeat, id.fold));
        wanted.dedup_by_key(|id| (id.repeat, id.fold));
        let order = |id: MemberId| {
            let rows = &self.data.fold(id).train;
            (
                (id.repeat, id.fold),
                row_order(rows, self.seed, id.repeat, id.fold, epoch),
            )
        };
        self.threads
            .install(|| wanted.into_par_iter().map(order).collect::<Vec<_>>())
            .into_iter()
            .collect()
    }
}

impl<T: Real> Slot<T> {
    fn new(member: Member, initial: &[f32], running: &[f32]) -> Self {
        let moments = member.hyperparameters.optimizer.moments();
        Self {
            member,
            network: Network::new(initial, running, moments),
            samples: 0,
            epoch: 0,
            cursor: 0,
            loss_sum: 0.0,
            train_loss: f64::NAN,
            diverged: false,
        }
    }

    /// Goes on with an epoch: all its rows in the order of their visit.
    fn train_epoch(
        &mut self,
        workspace: &mut Workspace<T>,
        epoch: Batch<'_, T>,
        dropout_key: [u32; 2],
        pause: &(dyn Fn() -> bool + Sync),
    ) {
        let (hyperparameters, order) = (self.member.hyperparameters, epoch.rows);
        while self.cursor < order.len() {
            if pause() {
                return;
            }
            let end = order.len().min(self.cursor + hyperparameters.batch_size);
            let rows = &order[self.cursor..end];
            // A comparison that NaN fails.
            let sound = |loss: f64| loss <= DIVERGED_CROSS_ENTROPY * rows.len() as f64;
            let (network, batch) = (&mut self.network, Batch { rows, ..epoch });
            let loss = workspace.step(network, batch, &hyperparameters, dropout_key, sound);
            self.loss_sum += loss;
            self.cursor = end;
            if !sound(loss) {
                self.diverged = true;
                return;
            }
            self.samples += rows.len() as u64;
        }
        self.train_loss = self.loss_sum / order.len() as f64;
        self.diverged = !self.network.is_finite();
        self.epoch += 1;
        self.cursor = 0;
        self.loss_sum = 0.0;
    }

    fn snapshot(&self) -> MemberSnapshot {
        let rounded = |values: &[T]| values.iter().map(|v| v.to_f32()).collect();
        MemberSnapshot {
            id: self.member.id,
            parameters: rounded(&self.network.parameters),
            moments: self.network.moments.iter().map(|m| rounded(m)).collect(),
            running: rounded(&self.network.running),
            steps: self.network.steps,
            samples: self.samples,
            epoch: self.epoch,
            cursor: self.cursor as u64,
            loss_sum: self.loss_sum,
            train_loss: self.train_loss,
            diverged: self.diverged,
        }
    }

    fn restored(member: Member, snapshot: &MemberSnapshot) -> Self {
        let exact = |values: &Vec<f32>| aligned(values.iter().map(|&v| T::from_f32(v)));
        let running = snapshot.running.iter();
        Self {
            member,
            network: Network {
                parameters: exact(&snapshot.parameters),
                moments: snapshot.moments.iter().map(exact).collect(),
                running: running.map(|&v| T::from_f32(v)).collect(),
                steps: snapshot.steps,
            },
            samples: snapshot.samples,
            epoch: snapshot.epoch,
            cursor: usize::try_from(snapshot.cursor).expect("a cursor counts rows in memory"),
            loss_sum: snapshot.loss_sum,
            train_loss: snapshot.train_loss,
            diverged: snapshot.diverged,
        }
    }
}

impl<T: Real> Running for CpuWave<'_, T> {
    fn train(
        &mut self,
        epoch: u32,
        pause: &(dyn Fn() -> bool + Sync),
    ) -> Result<Progress, EngineError> {
        let behind = |slots: &[Slot<T>]| {
            let live = slots.iter().filter(|slot| !slot.diverged);
            live.map(|slot| slot.epoch).min().filter(|&at| at < epoch)
        };
        while let Some(at) = behind(&self.slots) {
            self.train_epoch(at, pause);
            if behind(&self.slots) == Some(at) {
                return Ok(Progress::Paused);
            }
        }
        Ok(Progress::Reached)
    }

    fn status(&self) -> Vec<MemberStatus> {
        let status = |slot: &Slot<T>| MemberStatus {
            epoch: slot.epoch,
            train_loss: slot.train_loss,
            samples: slot.samples,
            steps: slot.network.steps,
            diverged: slot.diverged,
        };
        self.slots.iter().map(status).collect()
    }

    fn evaluate(&mut self, part: Part) -> Result<Vec<Option<Evaluation>>, EngineError> {
        let (data, scaled, workspaces) = (self.data, &self.scaled, &self.workspaces);
        let share = self.share(|slot| !slot.diverged);
        let evaluate = |slot: &Slot<T>| {
            if slot.diverged {
                return None;
            }
            let id = slot.member.id;
            let fold = data.fold(id);
            let batch = Batch {
                features: &scaled[&id.fold],
                targets: &data.dataset.targets,
                rows: part.rows(fold),
            };
            let activation = slot.member.hyperparameters.activation;
            let mut workspace = free_workspace(workspaces, share);
            Some(workspace.evaluate(&slot.network, batch, activation))
        };
        let slots = &self.slots;
        Ok(self
            .threads
            .install(|| slots.par_iter().with_max_len(1).map(evaluate).collect()))
    }

    fn keep(&mut self, slots: &[usize]) {
        assert!(slots.is_sorted(), "slots to keep ascend");
        let mut kept = slots.iter().peekable();
        let mut at = 0;
        self.slots.retain(|_| {
            let stays = kept.next_if(|&&slot| slot == at).is_some();
            at += 1;
            stays
        });
    }

    fn copy(&mut self, from: usize, to: usize) -> Result<(), EngineError> {
        let mut snapshot = self.slots[from].snapshot();
        let member = self.slots[to].member;
        snapshot.id = member.id;
        let moments = member.hyperparameters.optimizer.moments();
        let rows = self.data.fold(member.id).train.len();
        snapshot.check(member.id, &self.shape, moments, rows)?;
        self.slots[to] = Slot {
            member,
            network: self.slots[from].network.clone(),
            ..Slot::restored(member, &snapshot)
        };
        Ok(())
    }

    fn save(&self) -> Result<Vec<MemberSnapshot>, EngineError> {
        Ok(self.slots.iter().map(Slot::snapshot).collect())
    }

    fn load(&mut self, snapshots: &[MemberSnapshot]) -> Result<(), EngineError> {
        let known: BTreeMap<MemberId, Member> = self
            .slots
            .iter()
            .map(|slot| (slot.member.id, slot.member))
            .collect();
        let restore = |snapshot: &MemberSnapshot| {
            let member = *known
                .get(&snapshot.id)
                .ok_or_else(|| MemberSnapshot::of_no_member(snapshot.id))?;
            let moments = member.hyperparameters.optimizer.moments();
            let rows = self.data.fold(member.id).train.len();
            snapshot.check(member.id, &self.shape, moments, rows)?;
            Ok(Slot::restored(member, snapshot))
        };
        self.slots = snapshots
            .iter()
            .map(restore)
            .collect::<Result<_, EngineError>>()?;
        Ok(())
    }

    fn members(&self) -> Vec<Member> {
        self.slots.iter().map(|slot| slot.member).collect()
    }

    fn weights(&self, slot: usize) -> Result<Vec<f32>, EngineError> {
        let parameters = &self.slots[slot].network.parameters;
        Ok(parameters.iter().map(|p| p.to_f32()).collect())
    }
}

/// Scratch that nobody uses, preferably what the calling thread used before, for a member whose
/// products `share` threads may work on.
///
/// A thread that waits for the others' part of a product may take up another member meanwhile, so
/// that its own scratch is not always free; but then there are more threads than members.
fn free_workspace<T: Real>(
    workspaces: &[Mutex<Workspace<T>>],
    share: usize,
) -> MutexGuard<'_, Workspace<T>> {
    let thread = rayon::current_thread_index().unwrap_or(0);
    let (before, from_own) = workspaces.split_at(thread);
    let mut workspace = from_own
        .iter()
        .chain(before)
        .find_map(|workspace| match workspace.try_lock() {
            Ok(workspace) => Some(workspace),
            // Scratch holds nothing that a panic could leave half done.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        })
        .expect("there is scratch for each thread");
    workspace.share(share);
    workspace
}

fn repeats(members: &[Member]) -> impl Iterator<Item = u32> {
    let mut repeats: Vec<u32> = members.iter().map(|member| member.id.repeat).collect();
    repeats.sort_unstable();
    repeats.dedup();
    repeats.into_iter()
}

fn scaled_features<'r, T: Real>(setup: WaveSetup<'r, '_>) -> BTreeMap<u32, ScaledFeatures<'r, T>> {
    let mut scaled = BTreeMap::new();
    for member in setup.members {
        scaled.entry(member.id.fold).or_insert_with(|| {
            let scaling = &setup.data.fold(member.id).scaling;
            ScaledFeatures::new(&setup.data.dataset.features, scaling)
        });
    }
    scaled
}
