//! The space as axes of a grid: which apply where, and how many trials they span.

use super::points::Points;
use super::{Parameter, ParameterValue, Space};

/// The axes of a grid, one a parameter; a fixed parameter is an axis of one point.
#[derive(Clone, Debug)]
pub struct Axes {
    axes: Vec<Axis>,
}

#[derive(Clone, Debug)]
struct Axis {
    name: String,
    swept: bool,
    points: Points,
    conditions: Vec<Gate>,
}

/// A condition on an earlier axis.
#[derive(Clone, Debug)]
struct Gate {
    axis: usize,
    /// The indices that fulfil it, ascending.
    indices: Vec<u64>,
}

/// A position on the grid: for each axis the index of its value, `None` where it does not apply.
pub type Position = Vec<Option<u64>>;

impl Axes {
    /// The axes of a space. A condition on a parameter that does not stand earlier never holds.
    pub fn new(space: &Space) -> Self {
        let mut axes: Vec<Axis> = Vec::with_capacity(space.parameters.len());
        for parameter in &space.parameters {
            let axis = Axis::new(parameter, &axes);
            axes.push(axis);
        }
        Self { axes }
    }

    /// The first position; `None` when the grid is empty.
    pub fn first(&self) -> Option<Position> {
        if self.axes.iter().any(|axis| axis.points.is_empty()) {
            return None;
        }
        let mut position = vec![None; self.axes.len()];
        self.restart(&mut position, 0);
        Some(position)
    }

    /// Moves on by one trial, the last axis fastest. Returns false, leaving the position, at the end.
    pub fn advance(&self, position: &mut Position) -> bool {
        for (i, axis) in self.axes.iter().enumerate().rev() {
            if let Some(index) = position[i]
                && index + 1 < axis.points.len()
            {
                position[i] = Some(index + 1);
                self.restart(position, i + 1);
                return true;
            }
        }
        false
    }

    /// The swept parameters that apply at a position, in order, with their values.
    pub fn values(&self, position: &Position) -> Vec<(String, ParameterValue)> {
        let swept = self
            .axes
            .iter()
            .zip(position)
            .filter(|(axis, _)| axis.swept);
        swept
            .filter_map(|(axis, index)| Some((axis.name.clone(), axis.points.get((*index)?)?)))
            .collect()
    }

    /// Number of trials; `None` beyond `u64`.
    pub fn count(&self) -> Option<u64> {
        if self.axes.iter().any(|axis| axis.points.is_empty()) {
            return Some(0);
        }
        self.count_from(0, &mut vec![None; self.axes.len()])
    }

    /// Trials spanned by the axes from `from` on, given the position before. Values that no later
    /// condition tells apart are counted together.
    fn count_from(&self, from: usize, position: &mut Position) -> Option<u64> {
        let Some(axis) = self.axes.get(from) else {
            return Some(1);
        };
        if !axis.applies(position) {
            position[from] = None;
            return self.count_from(from + 1, position);
        }
        let named = self.named_later(from);
        let mut total = 0_u64;
        for &index in &named {
            position[from] = Some(index);
            total = total.checked_add(self.count_from(from + 1, position)?)?;
        }
        let others = axis.points.len() - named.len() as u64;
        if others > 0 {
            position[from] = Some(u64::MAX);
            let each = self.count_from(from + 1, position)?;
            total = total.checked_add(others.checked_mul(each)?)?;
        }
        Some(total)
    }

    /// Indices of an axis that a later condition names, ascending, each once.
    fn named_later(&self, target: usize) -> Vec<u64> {
        let later = self.axes[target + 1..].iter().flat_map(|a| &a.conditions);
        let mut named: Vec<u64> = later
            .filter(|gate| gate.axis == target)
            .flat_map(|gate| gate.indices.iter().copied())
            .collect();
        named.sort_unstable();
        named.dedup();
        named
    }

    /// Puts all axes from `from` on to their first value, or to none where they do not apply.
    fn restart(&self, position: &mut Position, from: usize) {
        for i in from..self.axes.len() {
            position[i] = self.axes[i].applies(position).then_some(0);
        }
    }
}

impl Axis {
    fn new(parameter: &Parameter, earlier: &[Self]) -> Self {
        let gate = |condition: &super::Condition| {
            let target = earlier.iter().position(|a| a.name == condition.parameter);
            let points = target.map(|axis| &earlier[axis].points);
            let mut indices: Vec<u64> = condition
                .values
                .iter()
                .filter_map(|value| points?.position(value))
                .collect();
            indices.sort_unstable();
            Gate {
                axis: target.unwrap_or(0),
                indices,
            }
        };
        Self {
            name: parameter.name.clone(),
            swept: parameter.domain.is_swept(),
            points: Points::of(&parameter.domain),
            conditions: parameter.when.iter().map(gate).collect(),
        }
    }

    /// Whether all conditions hold; they are on earlier axes only.
    fn applies(&self, position: &Position) -> bool {
        self.conditions.iter().all(|gate| {
            let index = position.get(gate.axis).copied().flatten();
            index.is_some_and(|index| gate.indices.binary_search(&index).is_ok())
        })
    }
}
