//! Which workgroup does what: members by slot, and the tiles of their batches.

use std::ops::Range;

use crate::engine::gpu::layout::Tile;

/// The rows that a member works on, cut into tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    /// The member.
    pub slot: u32,
    /// How many rows.
    pub rows: u32,
    /// Where they lie in the buffers of activations.
    pub first_row: u32,
}

/// Rows of a block that losses are summed over: fixed, since sums depend on it.
pub const BLOCK_ROWS: u32 = 16;

/// The tiles of training: each member's batch at its own place, member after member.
///
/// Also gives, for each count of members, how many tiles the first so many have.
pub fn training_tiles(members: &[Rows], tile_rows: u32) -> (Vec<Tile>, Vec<u32>) {
    let mut tiles = Vec::new();
    let mut prefix = vec![0];
    for member in members {
        for row in (0..member.rows).step_by(tile_rows as usize) {
            let activation_row = member.first_row + row;
            tiles.push(Tile {
                slot: member.slot,
                row,
                activation_row,
                block: activation_row / BLOCK_ROWS,
            });
        }
        prefix.push(u32::try_from(tiles.len()).expect("tiles are limited by memory"));
    }
    (tiles, prefix)
}

/// Groups of tiles begin at multiples of so many: storage bindings are aligned to 256 bytes.
const GROUP_ALIGNMENT: u32 = 16;

/// The tiles of an evaluation, in groups that fit the buffers of activations together: `capacity`
/// tiles a group. Blocks are numbered through all groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EvaluationTiles {
    /// Group after group, with unused ones between that align the groups.
    pub tiles: Vec<Tile>,
    /// The groups.
    pub groups: Vec<Range<u32>>,
    /// For each member its blocks.
    pub blocks: Vec<Range<u32>>,
    /// Blocks in all.
    pub block_count: u32,
}

impl EvaluationTiles {
    fn len(&self) -> u32 {
        u32::try_from(self.tiles.len()).expect("tiles are limited by memory")
    }

    /// Tiles in the last group, in one that is begun if it is full.
    fn open_group(&mut self, capacity: u32) -> u32 {
        let full = |group: &Range<u32>| group.end - group.start == capacity;
        if self.groups.last().is_none_or(full) {
            let aligned = self.len().next_multiple_of(GROUP_ALIGNMENT);
            self.tiles.resize(aligned as usize, Tile::default());
            self.groups.push(aligned..aligned);
        }
        self.groups
            .last()
            .map_or(0, |group| group.end - group.start)
    }
}

/// Lays out the rows of an evaluation; `first_row` of the members does not count.
///
/// # Panics
/// When `capacity` is 0.
pub fn evaluation_tiles(members: &[Rows], tile_rows: u32, capacity: u32) -> EvaluationTiles {
    assert!(capacity > 0, "a group holds a tile");
    let mut out = EvaluationTiles::default();
    let blocks_a_tile = tile_rows / BLOCK_ROWS;
    for member in members {
        let first_block = out.block_count;
        for row in (0..member.rows).step_by(tile_rows as usize) {
            let place = out.open_group(capacity);
            out.tiles.push(Tile {
                slot: member.slot,
                row,
                activation_row: place * tile_rows,
                block: out.block_count,
            });
            out.block_count += blocks_a_tile;
            let end = out.len();
            if let Some(group) = out.groups.last_mut() {
                group.end = end;
            }
        }
        out.blocks
            .push(first_block..first_block + member.rows.div_ceil(BLOCK_ROWS));
    }
    out
}

/// How many members, counted from the first, still have a step to make when `step` are made.
///
/// Members lie in the order of their steps an epoch, most first, so that this is close to those
/// that have one; a member in between that has none finds that out on the device.
pub fn active_prefix(remaining: &[u32], step: u32) -> usize {
    remaining
        .iter()
        .rposition(|&r| r > step)
        .map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(slot: u32, rows: u32, first_row: u32) -> Rows {
        Rows {
            slot,
            rows,
            first_row,
        }
    }

    #[test]
    fn each_batch_is_cut_at_its_own_place() {
        let (tiles, prefix) = training_tiles(&[rows(2, 33, 0), rows(0, 16, 64)], 32);
        let tile = |slot, row, activation_row| Tile {
            slot,
            row,
            activation_row,
            block: activation_row / 16,
        };
        assert_eq!(tiles, [tile(2, 0, 0), tile(2, 32, 32), tile(0, 0, 64)]);
        assert_eq!(prefix, [0, 2, 3]);
    }

    #[test]
    fn an_evaluation_reuses_the_rows_group_after_group() {
        let laid = evaluation_tiles(&[rows(0, 70, 0), rows(1, 20, 0), rows(3, 0, 0)], 32, 2);
        let group = |group: usize| -> Vec<(u32, u32, u32, u32)> {
            let Range { start, end } = laid.groups[group];
            let tiles = laid.tiles[start as usize..end as usize].iter();
            tiles
                .map(|t| (t.slot, t.row, t.activation_row, t.block))
                .collect()
        };
        assert_eq!(group(0), [(0, 0, 0, 0), (0, 32, 32, 2)]);
        assert_eq!(group(1), [(0, 64, 0, 4), (1, 0, 32, 6)]);
        assert_eq!(laid.groups, [0..2, 16..18]);
        assert_eq!(laid.blocks, [0..5, 6..8, 8..8]);
        assert_eq!(laid.block_count, 8);
    }

    #[test]
    fn steps_dispatch_a_prefix_of_the_members() {
        let remaining = [5, 5, 3, 1, 2, 0];
        let prefixes: Vec<usize> = (0..6).map(|s| active_prefix(&remaining, s)).collect();
        assert_eq!(prefixes, [5, 5, 3, 2, 2, 0]);
    }
}
