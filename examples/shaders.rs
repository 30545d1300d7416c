//! Writes the WGSL of every kernel in every variant to a folder, for other compilers to read:
//! `cargo run --example shaders -- DIR`.

use std::path::PathBuf;

use regatta::engine::gpu::{AdapterKind, Options, ResidentVariant, check, every_text};

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.expect("the folder to write to is the first argument");
    std::fs::create_dir_all(&folder)?;
    let kinds = [AdapterKind::Discrete, AdapterKind::Software];
    let tiles = kinds.map(|kind| check::tiles_of(Options::for_kind(kind).tiles));
    let tiles = tiles.iter().flatten().flat_map(|t| [t.rows, t.weights]);
    let tiles: Vec<_> = tiles.collect();
    let resident = kinds.map(|kind| Options::for_kind(kind).resident);
    let resident = ResidentVariant::every_text(&resident);
    for text in every_text(&tiles).into_iter().chain(resident) {
        let name = format!("{}-{}.wgsl", text.kernel, text.variant);
        std::fs::write(folder.join(name), text.wgsl)?;
    }
    Ok(())
}
