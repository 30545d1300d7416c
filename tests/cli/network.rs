//! `best.safetensors`: applied by hand as ARCHITECTURE.md says, it has the recorded test score.

use std::fs;

use regatta::data::{DataConfig, Dataset, Splits, load, split};
use regatta::seed::Seed;
use safetensors::SafeTensors;
use serde_json::Value;

use crate::desk::Desk;

/// The tensors of a run's network, as other tools read them.
struct Network<'b> {
    tensors: SafeTensors<'b>,
    about: Value,
}

impl<'b> Network<'b> {
    fn read(bytes: &'b [u8]) -> Self {
        let (_, metadata) = SafeTensors::read_metadata(bytes).unwrap();
        let about = &metadata.metadata().as_ref().unwrap()["regatta"];
        Self {
            tensors: SafeTensors::deserialize(bytes).unwrap(),
            about: serde_json::from_str(about).unwrap(),
        }
    }

    fn values(&self, name: &str) -> Option<Vec<f64>> {
        let tensor = self.tensors.tensor(name).ok()?;
        let value = |bytes: &[u8]| f64::from(f32::from_le_bytes(bytes.try_into().unwrap()));
        Some(tensor.data().chunks_exact(4).map(value).collect())
    }

    fn logits(&self, row: &[f32]) -> Vec<f64> {
        let [offset, factor] = ["offset", "factor"].map(|n| self.values(&format!("input.{n}")));
        let scaling = offset.unwrap().into_iter().zip(factor.unwrap());
        let scaled = row.iter().zip(scaling);
        let mut values: Vec<f64> = scaled
            .map(|(&x, (offset, factor))| (f64::from(x) - offset) * factor)
            .collect();
        for layer in 0.. {
            let Some(weights) = self.values(&format!("dense_{layer}.weight")) else {
                break;
            };
            if layer > 0 {
                // The activation behind the layer before.
                assert_eq!(self.about["activation"], "relu");
                values.iter_mut().for_each(|value| *value = value.max(0.0));
            }
            values = self.dense(layer, &weights, &values);
        }
        values
    }

    fn dense(&self, layer: usize, weights: &[f64], x: &[f64]) -> Vec<f64> {
        let outputs = weights.len() / x.len();
        let dot = |j: usize| (0..x.len()).map(|i| x[i] * weights[i * outputs + j]).sum();
        let mut z: Vec<f64> = (0..outputs).map(dot).collect();
        if let Some(bias) = self.values(&format!("dense_{layer}.bias")) {
            z.iter_mut().zip(bias).for_each(|(z, bias)| *z += bias);
            return z;
        }
        let part = |name| self.values(&format!("batch_norm_{layer}.{name}")).unwrap();
        let (mean, variance) = (part("running_mean"), part("running_variance"));
        let (gamma, beta) = (part("gamma"), part("beta"));
        let epsilon = self.about["batch_norm_epsilon"].as_f64().unwrap();
        for (j, z) in z.iter_mut().enumerate() {
            *z = (*z - mean[j]) / (variance[j] + epsilon).sqrt() * gamma[j] + beta[j];
        }
        z
    }
}

fn iris() -> (Dataset, Splits) {
    let config = DataConfig {
        source: "iris".to_owned(),
        folds: Some(3),
        ..DataConfig::default()
    };
    let dataset = load(&config).unwrap();
    let splits = split(&dataset, &config, Seed(0)).unwrap();
    (dataset, splits)
}

/// Mean cross-entropy and accuracy over the test rows.
fn score(network: &Network<'_>) -> (f64, f64) {
    let (dataset, splits) = iris();
    let rows = &splits.refit.validation;
    let regatta::data::FeatureValues::F32(values) = dataset.features.values() else {
        panic!("iris is in f32")
    };
    let (mut loss, mut correct) = (0.0, 0.0);
    for &row in rows {
        let logits = network.logits(&values[row as usize * 4..][..4]);
        let target = logits[dataset.targets[row as usize] as usize];
        loss += logits.iter().map(|l| l.exp()).sum::<f64>().ln() - target;
        correct += f64::from(u8::from(logits.iter().all(|&l| l <= target)));
    }
    (loss / rows.len() as f64, correct / rows.len() as f64)
}

fn check(batch_norm: bool, format: &str) {
    let desk = Desk::new();
    desk.sweep(&format!(
        "--data iris --epochs 10 --hidden 8x5 --set learning_rate=0.03 --set batch_size=16 \
         --set optimizer=adam --set batch_norm={batch_norm} --set dropout=0.1 --out run"
    ))
    .succeeds();
    let bytes = fs::read(desk.path("run/best.safetensors")).unwrap();
    let network = Network::read(&bytes);
    assert_eq!(network.about["format"], format);
    let (loss, accuracy) = score(&network);
    let best = &desk.json("run/summary.json")["best"];
    let recorded = |name: &str| best[name].as_f64().unwrap();
    assert!(
        (loss / recorded("test_loss") - 1.0).abs() < 1e-4,
        "{loss} {best}"
    );
    assert!(
        (accuracy - recorded("test_accuracy")).abs() < 1e-9,
        "{accuracy} {best}"
    );
}

#[test]
fn a_dense_network_scores_as_recorded() {
    check(false, "dense");
}

#[test]
fn a_network_with_batch_norm_scores_as_recorded() {
    check(true, "dense+batch_norm");
}
