//! Parts that keep the rows of a group together.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;

use super::super::{DataError, shuffle};
use super::check_count;

/// Draws groups of about `count` rows: in shuffled order, each one that brings the number of
/// rows nearer to `count`; the smallest group if none does. One group at least stays behind.
pub(super) fn draw(
    rows: &[u32],
    groups: &[u32],
    count: usize,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<u32>, DataError> {
    let groups = shuffled_groups(rows, groups, rng);
    check_count("group", groups.len(), 2)?;
    let mut drawn = Vec::new();
    for group in &groups {
        let now = drawn.len();
        let then = now + group.len();
        if then.abs_diff(count) < now.abs_diff(count) && then < rows.len() {
            drawn.extend(group);
        }
    }
    if drawn.is_empty() {
        let smallest = groups.into_iter().min_by_key(Vec::len);
        drawn = smallest.expect("there are two groups");
    }
    Ok(drawn)
}

/// Deals all groups into `folds` hands: largest first, equal ones in shuffled order, each to the
/// hand with the fewest rows so far.
pub(super) fn deal(
    rows: &[u32],
    groups: &[u32],
    folds: usize,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<Vec<u32>>, DataError> {
    let mut groups = shuffled_groups(rows, groups, rng);
    check_count("group", groups.len(), folds)?;
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    let mut hands = vec![Vec::new(); folds];
    for group in groups {
        let smallest = hands
            .iter_mut()
            .min_by_key(|hand: &&mut Vec<u32>| hand.len());
        smallest.expect("there are two folds").extend(group);
    }
    Ok(hands)
}

/// The rows of each group; the groups in shuffled order.
fn shuffled_groups(rows: &[u32], groups: &[u32], rng: &mut ChaCha8Rng) -> Vec<Vec<u32>> {
    let mut by_id: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for &row in rows {
        by_id.entry(groups[row as usize]).or_default().push(row);
    }
    let mut order: Vec<u32> = by_id.keys().copied().collect();
    shuffle(&mut order, rng);
    let take = |id: &u32| by_id.remove(id).expect("ids are distinct");
    order.iter().map(take).collect()
}
