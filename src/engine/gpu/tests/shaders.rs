//! What can be said of the shaders without a GPU.

use std::collections::BTreeMap;

use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, Block, Module, Statement, TypeInner};

use super::used_tiles;
use crate::engine::gpu::adapter::{INVOCATIONS, STORAGE_BUFFERS, WORKGROUP_BYTES};
use crate::engine::gpu::check::tiles_of;
use crate::engine::gpu::kernels::fma_peak::Chains;
use crate::engine::gpu::layout::{Cursor, LayerData, MemberData, ResidentLayer, Run, State, Tile};
use crate::engine::gpu::shader::{
    Needs, Rendered, ResidentTiles, ResidentVariant, Source, TileShape, every_text, kernels,
};
use crate::engine::gpu::{Form, ResidentKernel};

/// The tiles that an engine may take, and those of the checks.
fn tiles() -> Vec<TileShape> {
    let all = Form::all_tiles().0.into_iter().map(tiles_of);
    all.flatten()
        .flat_map(|tiles| [tiles.rows, tiles.weights])
        .collect()
}

fn parsed(resident: &[ResidentTiles]) -> Vec<(Rendered, Module)> {
    let resident = ResidentVariant::every_text(resident);
    let texts = every_text(&tiles()).into_iter().chain(resident);
    texts
        .map(|text| {
            let parsed = naga::front::wgsl::parse_str(&text.wgsl);
            let module = parsed.unwrap_or_else(|error| {
                panic!("{}: {}", text.kernel, error.emit_to_string(&text.wgsl))
            });
            (text, module)
        })
        .collect()
}

#[test]
fn every_variant_of_every_kernel_is_valid() {
    let all = parsed(&Form::all_tiles().1);
    for (text, module) in &all {
        // The resident kernels are for adapters that have coherent buffers.
        let capabilities = match text.kernel {
            "resident" | "resident_evaluate" => Capabilities::MEMORY_DECORATION_COHERENT,
            _ => Capabilities::empty(),
        };
        let mut validator = Validator::new(ValidationFlags::all(), capabilities);
        let result = validator.validate(module);
        assert!(
            result.is_ok(),
            "{} {}: {result:?}",
            text.kernel,
            text.variant
        );
    }
    for kernel in kernels() {
        assert!(
            all.iter().any(|(text, _)| text.kernel == kernel),
            "{kernel}"
        );
    }
}

#[test]
fn every_variant_fits_the_least_adapter() {
    // Other tiles are taken only where a workgroup has room for them.
    for (text, module) in parsed(&used_tiles()) {
        let shown = format!("{} {}", text.kernel, text.variant);
        let of = |space| {
            let all = module.global_variables.iter();
            all.filter(move |(_, variable)| variable.space == space)
        };
        let size = |ty| module.types[ty].inner.size(module.to_ctx());
        let bytes: u32 = of(AddressSpace::WorkGroup).map(|(_, v)| size(v.ty)).sum();
        assert!(bytes <= WORKGROUP_BYTES, "{shown}: {bytes} bytes");
        let buffers = |(_, variable): &(_, &naga::GlobalVariable)| {
            matches!(variable.space, AddressSpace::Storage { .. })
        };
        let storage = module.global_variables.iter().filter(buffers).count();
        assert!(
            storage <= STORAGE_BUFFERS as usize,
            "{shown}: {storage} buffers"
        );
        let [entry] = module.entry_points.as_slice() else {
            panic!("{shown}: one entry point");
        };
        assert_eq!(entry.name, text.kernel);
        let invocations: u32 = entry.workgroup_size.iter().product();
        assert!(invocations <= INVOCATIONS, "{shown}: {invocations}");
    }
}

/// wgpu does not refuse a kernel that takes more of a workgroup's memory than there is: the engine does,
/// by these bytes.
#[test]
fn bytes_of_a_workgroup_are_those_that_are_counted() {
    for tiles in Form::all_tiles().1 {
        for arena in [None, Some(0), Some(1280)] {
            let variant = ResidentVariant {
                tiles,
                source: Source::FeaturesF32,
                arena,
                needs: Needs::ALL,
                coherent: true,
            };
            let [train, evaluate] = ResidentKernel::ALL.map(|kernel| {
                let text = variant.render(kernel, None);
                let module = naga::front::wgsl::parse_str(&text).unwrap();
                let size = |ty| module.types[ty].inner.size(module.to_ctx());
                let globals = module.global_variables.iter();
                let of_workgroup = globals.filter(|(_, v)| v.space == AddressSpace::WorkGroup);
                of_workgroup.map(|(_, v)| size(v.ty)).sum::<u32>()
            });
            let shown = format!("{} {arena:?}", tiles.name());
            assert_eq!(train, variant.workgroup_bytes(), "{shown}");
            assert!(evaluate < train, "{shown}");
        }
    }
}

/// Size of a struct, and its fields by name and offset.
type Fields = (usize, Vec<(String, usize)>);

/// The fields of a Rust struct; those that are arrays have names of their own in WGSL, word by word.
macro_rules! fields {
    ($of:ty: $($field:ident),* $(; $($name:literal => $array:ident + $words:literal),*)?) => {{
        let fields = [
            $((stringify!($field), std::mem::offset_of!($of, $field)),)*
            $($(($name, std::mem::offset_of!($of, $array) + 4 * $words),)*)?
        ];
        let owned = fields.map(|(name, offset)| (name.to_owned(), offset));
        (size_of::<$of>(), owned.to_vec())
    }};
}

/// The structs by their names in WGSL.
fn rust_structs() -> BTreeMap<&'static str, Fields> {
    let member = fields!(MemberData: learning_rate, batch_size, optimizer, activation, momentum,
        one_minus_beta_1, beta_2, one_minus_beta_2, epsilon, ln_beta_1, ln_beta_2, first_moment,
        dropout_threshold, dropout_scale, order_start, rows, first_row, scaling, index, first_layer,
        layers, scratch, row_stride;
        "dropout_key_0" => dropout_key + 0, "dropout_key_1" => dropout_key + 1);
    let cursor = fields!(Cursor: first, rows, steps, scaling, step_size, epsilon, inverse_rows,
        unused);
    let tile = fields!(Tile: slot, row, activation_row, block);
    let layer = fields!(LayerData: inputs, outputs, input_stride, output_stride, member_stride,
        column_tiles, row_tiles, bias, activated, dropped, index, unused);
    let state = fields!(State: position, steps, epoch, diverged, samples_low, samples_high,
        loss_sum, loss_rest, train_loss, released;
        "unused_0" => unused + 0, "unused_1" => unused + 1);
    let run = fields!(Run: epoch, rows, row_tile, steps, first, results_stride, first_slot, end_slot,
        chunks;
        "unused_0" => unused + 0, "unused_1" => unused + 1, "unused_2" => unused + 2);
    let resident_layer = fields!(ResidentLayer: inputs, outputs, input_stride, output_stride, bias,
        hidden, normalized, weights, weights_stride, moments, scale, running, scale_moments, in_arena,
        h, dy, z, statistics, x, gradients);
    let chains = fields!(Chains: iterations, factor, addend, unused);
    BTreeMap::from([
        ("Chains", chains),
        ("Member", member),
        ("Cursor", cursor),
        ("Tile", tile),
        ("Layer", layer),
        ("State", state),
        ("Run", run),
        ("ResidentLayer", resident_layer),
    ])
}

#[test]
fn structs_lie_alike_in_rust_and_wgsl() {
    let structs = rust_structs();
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for (text, module) in parsed(&Form::all_tiles().1) {
        for (_, ty) in module.types.iter() {
            let TypeInner::Struct { members, span } = &ty.inner else {
                continue;
            };
            let name = ty.name.as_deref().unwrap_or_default();
            let Some((key, (size, fields))) = structs.get_key_value(name) else {
                continue;
            };
            let mut fields = fields.clone();
            fields.sort_by_key(|(_, offset)| *offset);
            let reflected: Vec<(String, usize)> = members
                .iter()
                .map(|m| (m.name.clone().unwrap_or_default(), m.offset as usize))
                .collect();
            assert_eq!(reflected, fields, "{name} in {}", text.kernel);
            assert_eq!(*span as usize, *size, "{name} in {}", text.kernel);
            *seen.entry(key).or_default() += 1;
        }
    }
    assert_eq!(seen.len(), structs.len(), "{seen:?}");
}

/// The bindings that the host's half of a kernel names, read from its source, with the alternatives
/// of those that stand for several.
fn host_bindings(kernel: &str) -> Vec<Vec<BTreeMap<u32, &'static str>>> {
    let path = format!(
        "{}/src/engine/gpu/kernels/{kernel}.rs",
        env!("CARGO_MANIFEST_DIR")
    );
    let source = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let field = |line: &str| {
        let (name, rest) = line.trim().strip_suffix(',')?.split_once(": ")?;
        let (kind, number) = rest.split_once("<'a> = ")?;
        Some(alternatives(name, kind, number.parse().ok()?))
    };
    source.lines().filter_map(field).collect()
}

fn alternatives(name: &str, kind: &str, first: u32) -> Vec<BTreeMap<u32, &'static str>> {
    let named = |names: &[(u32, &'static str)]| names.iter().copied().collect();
    match kind {
        "Binding" => vec![named(&[(first, String::leak(name.to_owned()))])],
        "Inputs" => vec![
            named(&[(first, "inputs")]),
            named(&[(first, "features"), (7, "orders"), (8, "scaling")]),
        ],
        "WeightsResult" => vec![
            named(&[(first, "weights"), (9, "moments")]),
            named(&[(first, "gradients"), (11, "weights")]),
            named(&[(first, "gradients")]),
        ],
        other => panic!("bindings of the kind {other}"),
    }
}

#[test]
fn bindings_are_those_that_the_shaders_declare() {
    // Other tiles are taken only where a workgroup has room for them.
    for (text, module) in parsed(&used_tiles()) {
        let shown = format!("{} {}", text.kernel, text.variant);
        let variables = module.global_variables.iter();
        let mut declared: BTreeMap<u32, String> = variables
            .filter_map(|(_, variable)| {
                let binding = variable.binding.as_ref()?;
                Some((binding.binding, variable.name.clone()?))
            })
            .collect();
        for alternatives in host_bindings(text.kernel) {
            let matches = |names: &&BTreeMap<u32, &str>| {
                names
                    .iter()
                    .all(|(number, name)| declared.get(number).is_some_and(|d| d == name))
            };
            let found = alternatives.iter().find(matches);
            let found = found.unwrap_or_else(|| panic!("{shown}: {alternatives:?}, {declared:?}"));
            declared.retain(|number, _| !found.contains_key(number));
        }
        assert!(declared.is_empty(), "{shown}: {declared:?} have no place");
    }
}

/// Barriers of a block, and how many of them stand inside a condition. A loop is no condition: its
/// uniformity is looked at by `scripts/validate-shaders.sh`.
fn barriers(block: &Block, conditional: bool) -> (usize, usize) {
    let mut sum = (0, 0);
    let mut add = |(all, inside): (usize, usize)| sum = (sum.0 + all, sum.1 + inside);
    for statement in block {
        match statement {
            Statement::ControlBarrier(_) => add((1, usize::from(conditional))),
            Statement::Block(block) => add(barriers(block, conditional)),
            Statement::If { accept, reject, .. } => {
                add(barriers(accept, true));
                add(barriers(reject, true));
            }
            Statement::Switch { cases, .. } => {
                cases
                    .iter()
                    .for_each(|case| add(barriers(&case.body, true)));
            }
            Statement::Loop {
                body, continuing, ..
            } => {
                add(barriers(body, conditional));
                add(barriers(continuing, conditional));
            }
            _ => {}
        }
    }
    sum
}

#[test]
fn no_barrier_stands_inside_a_condition_or_a_function() {
    let mut all = 0;
    // The resident kernels are made of functions with barriers and have conditions that are the same for a
    // whole workgroup: `scripts/validate-shaders.sh` looks at these.
    let layered = parsed(&[]);
    for (text, module) in &layered {
        let shown = format!("{} {}", text.kernel, text.variant);
        let (found, conditional) = barriers(&module.entry_points[0].function.body, false);
        assert_eq!(conditional, 0, "{shown}");
        assert_eq!(
            found,
            text.wgsl.matches("workgroupBarrier()").count(),
            "{shown}"
        );
        all += found;
    }
    assert!(all > 0);
}

#[test]
fn a_barrier_inside_a_condition_is_noticed() {
    let wgsl = "@compute @workgroup_size(64) fn main(@builtin(local_invocation_index) t: u32) {
        workgroupBarrier();
        for (var i = 0u; i < 4u; i++) { workgroupBarrier(); }
        if (t < 3u) { for (var i = 0u; i < 4u; i++) { workgroupBarrier(); } }
    }";
    let module = naga::front::wgsl::parse_str(wgsl).unwrap();
    assert_eq!(
        barriers(&module.entry_points[0].function.body, false),
        (3, 1)
    );
}
