//! Parts that have the classes in their proportions.

use rand_chacha::ChaCha8Rng;

use super::super::shuffle;

/// Draws `count` of `rows`: from each class its share, rounded by largest remainder.
pub(super) fn draw(rows: &[u32], targets: &[u32], count: usize, rng: &mut ChaCha8Rng) -> Vec<u32> {
    let classes = shuffled_classes(rows, targets, rng);
    let sizes: Vec<usize> = classes.iter().map(Vec::len).collect();
    let shares = shares(&sizes, count);
    let drawn = classes.iter().zip(shares);
    drawn
        .flat_map(|(class, share)| class[..share].to_vec())
        .collect()
}

/// Deals all `rows` into `folds` hands, class after class.
pub(super) fn deal(
    rows: &[u32],
    targets: &[u32],
    folds: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<Vec<u32>> {
    let mut hands = vec![Vec::new(); folds];
    let classes = shuffled_classes(rows, targets, rng);
    for (position, row) in classes.into_iter().flatten().enumerate() {
        hands[position % folds].push(row);
    }
    hands
}

/// The rows of each class, shuffled, by class index.
fn shuffled_classes(rows: &[u32], targets: &[u32], rng: &mut ChaCha8Rng) -> Vec<Vec<u32>> {
    let mut classes: Vec<Vec<u32>> = Vec::new();
    for &row in rows {
        let class = targets[row as usize] as usize;
        if classes.len() <= class {
            classes.resize(class + 1, Vec::new());
        }
        classes[class].push(row);
    }
    for class in &mut classes {
        shuffle(class, rng);
    }
    classes
}

/// `count` divided in proportion to `sizes`; what rounding down leaves goes to the largest
/// remainders, the first of equal ones.
fn shares(sizes: &[usize], count: usize) -> Vec<usize> {
    let total: usize = sizes.iter().sum::<usize>().max(1);
    let mut shares: Vec<usize> = sizes.iter().map(|size| size * count / total).collect();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&class| std::cmp::Reverse(sizes[class] * count % total));
    let rest = count - shares.iter().sum::<usize>();
    for &class in &order[..rest] {
        shares[class] += 1;
    }
    shares
}
