//! Prints the test rows and the folds of a built-in dataset or a file as JSON, so that another tool
//! can train on the same ones:
//!
//!     cargo run --release --example folds -- digits 3 0 > folds.json
//!
//! The arguments are the source, the number of folds and the seed; a fifth of the rows is held out
//! for the test, as `regatta sweep` does.

use regatta::data::{DataConfig, load, split};
use regatta::seed::Seed;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, folds, seed] = arguments.as_slice() else {
        return Err("usage: folds SOURCE FOLDS SEED".into());
    };
    let config = DataConfig {
        source: source.clone(),
        folds: Some(folds.parse()?),
        ..DataConfig::default()
    };
    let dataset = load(&config)?;
    let splits = split(&dataset, &config, Seed(seed.parse()?))?;
    let fold = |fold: &regatta::data::Fold| serde_json::json!({"train": fold.train, "validation": fold.validation});
    let folds: Vec<_> = splits.folds.iter().map(fold).collect();
    let rows = serde_json::json!({"test": splits.refit.validation, "folds": folds});
    println!("{rows}");
    Ok(())
}
