//! The refitted network, as a safetensors file that other tools can open.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

use super::StoreError;
use crate::train::{Activation, Shape};

/// A trained network and what its inputs and outputs mean.
///
/// Tensors, all f32: `dense_0.weight` `[inputs, outputs]` and `dense_0.bias` `[outputs]`, and so on for
/// each layer; `input.offset` and `input.factor` `[inputs]`, by which a row is scaled first:
/// `(x - offset) * factor`. The metadata's entry `regatta` is a JSON object with `trial`, `activation`
/// (behind each hidden layer), and the names of `features` and `classes`. The largest logit is the
/// predicted class.
#[derive(Clone, Copy, Debug)]
pub struct NetworkFile<'n> {
    /// Trial that it is a refit of.
    pub trial: u64,
    /// Activation behind each hidden layer.
    pub activation: Activation,
    /// Its shape.
    pub shape: &'n Shape,
    /// Its parameters, in the layout of [`Shape::layers`].
    pub parameters: &'n [f32],
    /// What is taken off each input.
    pub offset: &'n [f32],
    /// What each input is then multiplied by.
    pub factor: &'n [f32],
    /// Names of the inputs.
    pub features: &'n [String],
    /// Names of the outputs.
    pub classes: &'n [String],
}

impl NetworkFile<'_> {
    /// The file's bytes; `path` is only named in an error.
    pub(super) fn bytes(&self, path: &Path) -> Result<Vec<u8>, StoreError> {
        let tensors = self.tensors();
        let views = tensors.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
            (name.as_str(), view.expect("shapes are made from the bytes"))
        });
        safetensors::serialize(views, Some(self.metadata()))
            .map_err(|error| StoreError::damaged(path, error))
    }

    fn tensors(&self) -> Vec<(String, Vec<usize>, Vec<u8>)> {
        let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let mut tensors = vec![
            (
                "input.offset".to_owned(),
                vec![self.offset.len()],
                bytes(self.offset),
            ),
            (
                "input.factor".to_owned(),
                vec![self.factor.len()],
                bytes(self.factor),
            ),
        ];
        for (l, layer) in self.shape.layers().into_iter().enumerate() {
            let weights = bytes(&self.parameters[layer.weights]);
            let bias = bytes(&self.parameters[layer.bias]);
            tensors.push((
                format!("dense_{l}.weight"),
                vec![layer.inputs, layer.outputs],
                weights,
            ));
            tensors.push((format!("dense_{l}.bias"), vec![layer.outputs], bias));
        }
        tensors
    }

    /// One entry, since the order of several would differ from run to run.
    fn metadata(&self) -> HashMap<String, String> {
        let about = json!({
            "format": "dense",
            "trial": self.trial,
            "activation": self.activation,
            "features": self.features,
            "classes": self.classes,
        });
        HashMap::from([("regatta".to_owned(), about.to_string())])
    }
}
