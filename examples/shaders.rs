//! Writes the WGSL of every kernel in every variant to a folder, for other compilers to read:
//! `cargo run --example shaders -- DIR`.

use std::path::PathBuf;

use regatta::engine::gpu::{Form, ResidentVariant, check, every_text};

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.expect("the folder to write to is the first argument");
    std::fs::create_dir_all(&folder)?;
    let (layered, resident) = Form::all_tiles();
    let tiles = layered.into_iter().flat_map(check::tiles_of);
    let tiles: Vec<_> = tiles.flat_map(|t| [t.rows, t.weights]).collect();
    let resident = ResidentVariant::every_text(&resident);
    for text in every_text(&tiles).into_iter().chain(resident) {
        let name = format!("{}-{}.wgsl", text.kernel, text.variant);
        std::fs::write(folder.join(name), text.wgsl)?;
    }
    Ok(())
}
