//! How many iterations the loops of the resident kernel make.

use super::resident::{CHUNK_ROWS, NARROW_4, Product, ResidentTiles, ResidentVariant, UNROLL};
use crate::train::Shape;

/// Iterations of all loops that one invocation makes, at most.
///
/// llvmpipe ends all loops of an invocation, without a word, when they have made 65,535 iterations
/// together: on software adapters a dispatch has to keep below that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Iterations {
    /// Of a step.
    pub step: u64,
    /// Of a dispatch, beside its steps.
    pub dispatch: u64,
}

impl Iterations {
    /// Of members of this shape with batches of up to so many rows.
    pub fn new(variant: ResidentVariant, shape: &Shape, batch: usize) -> Self {
        let counter = Counter::new(variant, batch);
        let mut step = counter.loss(shape.outputs()) + counter.gather(shape.inputs());
        // The loops over layers: forward, twice backward, biases and updates.
        let mut layers = Trips::default();
        let mut dispatch = Trips::default();
        for layer in shape.layers() {
            let [inputs, outputs] = [layer.inputs, layer.outputs].map(|n| n.div_ceil(4) as u64);
            layers = layers + counter.forward(inputs, outputs) + counter.backward(outputs, inputs);
            layers = layers + counter.weights(inputs, outputs);
            layers = layers + counter.update((4 * inputs + 1) * outputs);
            if layer.batch_norm() {
                layers = layers + counter.norm(outputs);
            }
            dispatch = dispatch + counter.copies(inputs, outputs) + counter.copies(inputs, outputs);
        }
        let count = shape.layers().len() as u64;
        step = step + layers + looped(count, Trips::default()).times(5) + layers.last_rounds();
        dispatch = dispatch + counter.gather(shape.inputs());
        let dispatch = looped(1, dispatch + looped(count, Trips::default()).times(2));
        Self {
            step: 1 + step.all,
            dispatch: dispatch.all + step.masked,
        }
    }

    /// Of evaluations of so many rows at once, where these count as a step.
    pub fn of_evaluation(variant: ResidentVariant, shape: &Shape, rows: usize) -> Self {
        let counter = Counter::new(variant, rows);
        let (mut layers, mut dispatch) = (Trips::default(), Trips::default());
        for layer in shape.layers() {
            let [inputs, outputs] = [layer.inputs, layer.outputs].map(|n| n.div_ceil(4) as u64);
            layers = layers + counter.forward(inputs, outputs);
            dispatch = dispatch + counter.copies(inputs, outputs);
        }
        let count = shape.layers().len() as u64;
        let step = counter.loss(shape.outputs())
            + counter.gather(shape.inputs())
            + layers
            + looped(count, Trips::default())
            + layers.last_rounds();
        let dispatch = looped(1, dispatch + looped(count, Trips::default()));
        Self {
            step: 1 + step.all,
            dispatch: dispatch.all + step.masked,
        }
    }
}

/// Iterations of some code: executed, and where all invocations have left a loop around it. Each loop is
/// then still gone through once, as is every loop once more to find that it has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Trips {
    all: u64,
    masked: u64,
}

impl std::ops::Add for Trips {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            all: self.all + other.all,
            masked: self.masked + other.masked,
        }
    }
}

impl Trips {
    fn times(self, times: u64) -> Self {
        Self {
            all: times * self.all,
            masked: times * self.masked,
        }
    }

    /// What the rounds cost in which loops over these find that they have ended.
    fn last_rounds(self) -> Self {
        Self {
            all: self.masked,
            masked: 0,
        }
    }
}

/// A loop of so many iterations of this.
fn looped(times: u64, body: Trips) -> Trips {
    let masked = 1 + body.masked;
    Trips {
        all: times * (1 + body.all) + masked,
        masked,
    }
}

/// A loop of so many iterations of straight code.
fn straight(times: u64) -> Trips {
    looped(times, Trips::default())
}

#[derive(Clone, Copy, Debug)]
struct Counter {
    tiles: ResidentTiles,
    in_arena: bool,
    /// Rows of a batch.
    rows: u64,
}

impl Counter {
    fn new(variant: ResidentVariant, rows: usize) -> Self {
        Self {
            tiles: variant.cut(),
            in_arena: variant.arena.is_some(),
            rows: rows as u64,
        }
    }

    fn forward(self, inner: u64, columns: u64) -> Trips {
        self.product(inner, columns, self.tiles.wide())
    }

    fn backward(self, inner: u64, columns: u64) -> Trips {
        self.product(inner, columns, self.tiles.wide_back())
    }

    /// The rows of the batch, where nothing is staged.
    fn gather(self, columns: usize) -> Trips {
        if !self.tiles.is_direct() {
            return Trips::default();
        }
        let vec4s = self.rows * columns.div_ceil(4) as u64;
        straight(vec4s.div_ceil(self.tiles.threads.into()))
    }

    /// The update of so many `vec4`s of parameters from their gradients, where nothing is staged.
    fn update(self, parameters: u64) -> Trips {
        if !self.tiles.is_direct() {
            return Trips::default();
        }
        straight(parameters.div_ceil(2 * u64::from(self.tiles.threads)))
    }

    /// Tiles of a result of so many rows and `vec4`s of columns, with a loop of so many iterations each, and one of
    /// those that are left over where several are written out; the other width of tiles is masked.
    fn direct(self, rows: u64, columns: u64, tile: Product, inner: u64) -> Trips {
        let unrolled = straight(inner) + straight(2 * u64::from(UNROLL));
        let cut = unrolled + straight(tile.held().into());
        let columns = looped(columns.div_ceil(tile.columns_4.into()), cut);
        self.and_the_other_width(looped(rows.div_ceil(tile.rows.into()), columns))
    }

    /// To stage so many rows of so many `vec4`s, from the dataset or from the scratch.
    fn stage(self, rows: u32, width: u32) -> Trips {
        let side_by_side = width.min(self.tiles.threads);
        let rows = straight(rows.div_ceil(self.tiles.threads / side_by_side).into());
        let staged = looped(width.div_ceil(side_by_side).into(), rows);
        // One of the two ways is executed, the other is gone through.
        staged + staged.last_rounds()
    }

    /// A product of rows, with its inner dimension and its columns in `vec4`s. Both widths of tiles are
    /// in the code, one of them masked.
    fn product(self, inner: u64, columns: u64, wide: Product) -> Trips {
        let tiles = self.tiles;
        let tile = if columns <= u64::from(NARROW_4) {
            tiles.narrow()
        } else {
            wide
        };
        if tiles.is_direct() {
            return self.direct(self.rows, columns, tile, inner);
        }
        let mut chunk = self.stage(tile.rows, tiles.inner_4) + straight(tiles.inner_4.into());
        if !self.in_arena {
            let forward = self.stage(4 * tiles.inner_4, tile.columns_4);
            let backward = self.stage(4 * tile.columns_4, tiles.inner_4);
            chunk = chunk
                + if forward.all > backward.all {
                    forward
                } else {
                    backward
                };
        }
        let chunks = looped(inner.div_ceil(tiles.inner_4.into()), chunk);
        let cut = chunks + self.finish(tile.rows, tile.columns_4);
        let columns = looped(columns.div_ceil(tile.columns_4.into()), cut);
        self.and_the_other_width(looped(self.rows.div_ceil(tile.rows.into()), columns))
    }

    /// What is done with the values of a result of so many rows and `vec4`s of columns.
    fn finish(self, rows: u32, columns_4: u32) -> Trips {
        straight((rows * columns_4).div_ceil(self.tiles.threads).into())
    }

    fn and_the_other_width(self, one: Trips) -> Trips {
        one + one.last_rounds()
    }

    /// The gradients of weights.
    fn weights(self, inputs: u64, outputs: u64) -> Trips {
        let tile = if outputs <= u64::from(NARROW_4) {
            self.tiles.narrow_weights()
        } else {
            self.tiles.wide()
        };
        if self.tiles.is_direct() {
            let columns = outputs.div_ceil(self.tiles.threads.into());
            let biases = looped(columns, straight(self.rows));
            return self.direct(4 * inputs, outputs, tile, self.rows) + biases;
        }
        let staged = self.stage(CHUNK_ROWS, tile.rows / 4) + self.stage(CHUNK_ROWS, tile.columns_4);
        let chunk = staged + straight(CHUNK_ROWS.into());
        // The biases are a row more.
        let finish = self.finish(tile.rows + 1, tile.columns_4);
        let cut = looped(self.rows.div_ceil(CHUNK_ROWS.into()), chunk) + finish;
        let columns = looped(outputs.div_ceil(tile.columns_4.into()), cut);
        self.and_the_other_width(looped((4 * inputs).div_ceil(tile.rows.into()), columns))
    }

    fn loss(self, classes: usize) -> Trips {
        let threads = u64::from(self.tiles.threads);
        let losses = u64::from(self.tiles.losses());
        // Top, sum, gradient.
        let row = straight(classes.div_ceil(4) as u64).times(3);
        let rows = looped(losses.div_ceil(threads), row);
        let chunk = rows + looped(losses / 16, straight(16));
        looped(self.rows.div_ceil(losses), chunk)
    }

    /// Both ways through a batch norm.
    fn norm(self, columns: u64) -> Trips {
        let threads = u64::from(self.tiles.threads);
        let side_by_side = threads.min(8);
        let lanes = threads / side_by_side;
        let round = straight(16).times(2) + straight(lanes);
        let group = looped(self.rows.div_ceil(16 * lanes), round);
        let groups = looped(columns.div_ceil(side_by_side), group);
        (groups + straight((self.rows * columns).div_ceil(threads))).times(2)
    }

    /// Weights, biases and statistics into the workgroup's memory, or back.
    fn copies(self, inputs: u64, outputs: u64) -> Trips {
        let columns = straight(outputs.div_ceil(self.tiles.threads.into()));
        looped(4 * inputs + 1, columns) + straight(outputs) + columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_are_gone_through_once_more_to_find_that_they_have_ended() {
        // for 3 { for 2 {} }: 3 x (1 + 3), then a round of 1 and 1.
        assert_eq!(looped(3, straight(2)), Trips { all: 14, masked: 2 });
    }
}
