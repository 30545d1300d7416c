//! The refitted network, as a safetensors file that other tools can open.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

use super::StoreError;
use crate::train::{Activation, BATCH_NORM_EPSILON, DenseLayer, Shape};

/// A trained network and what its inputs and outputs mean.
///
/// Tensors, all f32: `dense_0.weight` `[inputs, outputs]` and `dense_0.bias` `[outputs]`, and so on for
/// each layer; `input.offset` and `input.factor` `[inputs]`, by which a row is scaled first:
/// `(x - offset) * factor`. Where batch norm follows a layer, it has no bias but `batch_norm_0.gamma`,
/// `batch_norm_0.beta`, `batch_norm_0.running_mean` and `batch_norm_0.running_variance`, each
/// `[outputs]`: `(z - running_mean) / sqrt(running_variance + epsilon) * gamma + beta`, before the
/// activation.
///
/// The metadata's entry `regatta` is a JSON object with `format`, `trial`, `activation` (behind each
/// hidden layer), and the names of `features` and `classes`. The `format` says what there is to
/// compute: `dense`, or `dense+batch_norm`, which readers of `dense` alone refuse, with
/// `batch_norm_epsilon`. The largest logit is the predicted class.
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
    /// Its running statistics, in the layout of [`DenseLayer::running`].
    pub running: &'n [f32],
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

    fn tensors(&self) -> Vec<Tensor> {
        let mut tensors = vec![
            vector("input.offset".to_owned(), self.offset),
            vector("input.factor".to_owned(), self.factor),
        ];
        for (l, layer) in self.shape.layers().into_iter().enumerate() {
            tensors.push((
                format!("dense_{l}.weight"),
                vec![layer.inputs, layer.outputs],
                bytes(&self.parameters[layer.weights.clone()]),
            ));
            if layer.batch_norm() {
                tensors.extend(self.batch_norm(l, &layer));
            } else {
                let bias = &self.parameters[layer.bias];
                tensors.push(vector(format!("dense_{l}.bias"), bias));
            }
        }
        tensors
    }

    fn batch_norm(&self, l: usize, layer: &DenseLayer) -> [Tensor; 4] {
        let (mean, variance) = self.running[layer.running.clone()].split_at(layer.outputs);
        [
            ("gamma", &self.parameters[layer.gamma.clone()]),
            ("beta", &self.parameters[layer.beta.clone()]),
            ("running_mean", mean),
            ("running_variance", variance),
        ]
        .map(|(name, values)| vector(format!("batch_norm_{l}.{name}"), values))
    }

    /// One entry, since the order of several would differ from run to run.
    fn metadata(&self) -> HashMap<String, String> {
        let batch_norm = self.shape.batch_norm();
        let mut about = json!({
            "format": if batch_norm { "dense+batch_norm" } else { "dense" },
            "trial": self.trial,
            "activation": self.activation,
            "features": self.features,
            "classes": self.classes,
        });
        if batch_norm {
            about["batch_norm_epsilon"] = json!(BATCH_NORM_EPSILON);
        }
        HashMap::from([("regatta".to_owned(), about.to_string())])
    }
}

/// Name, shape, and values as bytes, little-endian.
type Tensor = (String, Vec<usize>, Vec<u8>);

fn vector(name: String, values: &[f32]) -> Tensor {
    (name, vec![values.len()], bytes(values))
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}
