// What both resident kernels are made of: what a dispatch is told, networks as parts of a table of layers, and
// the member's part of the scratch. The kernel declares what it may write: `states`, `values`, `scratch`.
{% include "shared/member.wgsl" %}
{% include "shared/functions.wgsl" %}
{% include "shared/activation.wgsl" %}

// What a dispatch is to do.
struct Run {
    epoch: u32,                // training: members that are in this epoch take part
    rows: u32,                 // a member begins no further step after so many; so many are evaluated
    row_tile: u32,             // batches are padded to a multiple of so many rows
    steps: u32,                // nor a step after so many
    first: u32,                // evaluations: rows of the part that were done before
    results_stride: u32,       // words from one member's results to the next
    first_slot: u32,           // the first member that takes part
    end_slot: u32,             // the first behind that does not
    chunks: u32,               // workgroups are executed in so many chunks side by side, each of neighbours
    unused_0: u32,
    unused_1: u32,
    unused_2: u32,
}

// One dense layer and what follows it. Places count vec4s; a stride is from one row to the next.
struct ResidentLayer {
    inputs: u32,
    outputs: u32,
    input_stride: u32,
    output_stride: u32,
    bias: u32,                 // 1: a row of biases follows the weights
    hidden: u32,               // 1: activation and dropout follow
    normalized: u32,           // 1: batch norm stands before them
    weights: u32,              // in `values`: member after member of the layer's shape
    weights_stride: u32,       // from one member's weights and biases to the next
    moments: u32,              // in `moments`, of the weights
    scale: u32,                // in `values`: gamma, then beta; member after member
    running: u32,              // in `values`: running means, then variances; member after member
    scale_moments: u32,        // in `moments`, of gamma and beta
    in_arena: u32,             // weights and biases in the arena, behind what is staged
    h: u32,                    // outputs in the scratch; logits and their gradient for the last layer
    dy: u32,                   // gradient of the outputs in the scratch; for the last layer the same as `h`
    z: u32,                    // outputs before batch norm, in the scratch
    statistics: u32,           // of the batch norm, in the member's part beside its rows
    x: u32,                    // inputs in the scratch; those of the first layer only where nothing is staged
    gradients: u32,            // of weights and biases, in the member's part beside its rows; only there too
}

@group(0) @binding(0) var<uniform> run: Run;
@group(0) @binding(1) var<storage, read> members: array<Member>;
@group(0) @binding(2) var<storage, read> layers: array<ResidentLayer>;
@group(0) @binding(3) var<storage, read> features: array<{{ "u32" if source == "features_u8" else "vec4<f32>" }}>;
@group(0) @binding(4) var<storage, read> orders: array<u32>;
@group(0) @binding(5) var<storage, read> scaling: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> targets: array<u32>;

{% if written %}
// All networks have one shape, which is written in; where their parameters are depends on how many they are.
const LAYERS = {{ written | length }}u;

fn layer_count(step: Step) -> u32 {
    return LAYERS;
}

fn stored_layer(step: Step, l: u32) -> ResidentLayer {
    return layers[l];
}

fn layer_of(step: Step, l: u32) -> ResidentLayer {
    let stored = stored_layer(step, l);
{% for layer in written %}
    if (l == {{ loop.index0 }}u) {
        return ResidentLayer(
            {{ layer.inputs }}u, {{ layer.outputs }}u, {{ layer.input_stride }}u, {{ layer.output_stride }}u,
            {{ layer.bias }}u, {{ layer.hidden }}u, {{ layer.normalized }}u,
            stored.weights, {{ layer.weights_stride }}u, stored.moments,
            stored.scale, stored.running, stored.scale_moments,
            {{ layer.in_arena }}u, {{ layer.h }}u, {{ layer.dy }}u, {{ layer.z }}u, {{ layer.statistics }}u,
            {{ layer.x }}u, {{ layer.gradients }}u);
    }
{% endfor %}
    return stored;
}
{% else %}
fn layer_count(step: Step) -> u32 {
    return step.layers;
}

fn stored_layer(step: Step, l: u32) -> ResidentLayer {
    return layers[step.first_layer + l];
}

fn layer_of(step: Step, l: u32) -> ResidentLayer {
    return stored_layer(step, l);
}
{% endif %}

const THREADS = {{ THREADS }}u;
var<workgroup> arena: array<vec4<f32>, {{ ARENA }}>;

// The workgroup's member: in its memory, since a GPU would keep what all steps need in registers, of which each
// invocation would have a copy.
var<workgroup> own: Member;

// What the functions of a step have in common.
struct Step {
    index: u32,                // of the member among those of its shape
    first_layer: u32,          // of its network, in the table
    layers: u32,
    batch: Cursor,
    scratch: u32,              // where the member's part of the scratch begins
    row_stride: u32,           // vec4s of it that each row of a batch takes, over all layers
    padded_rows: u32,          // rows of the batch in it
}

// Where a layer's rows, or what lies beside them, begin in the scratch.
fn rows_at(step: Step, place: u32) -> u32 {
    return step.scratch + place * step.padded_rows;
}

fn beside_rows(step: Step, place: u32) -> u32 {
    return step.scratch + step.row_stride * step.padded_rows + place;
}

// The member of a workgroup: each chunk has members from all over the slice, since those that take longest come
// first. A dispatch may have more workgroups than members that take part: the others have a slot behind all.
fn slot_of(workgroup: u32) -> u32 {
    let of_chunk = max((run.end_slot - run.first_slot + run.chunks - 1u) / run.chunks, 1u);
    let slot = run.first_slot + workgroup % of_chunk * run.chunks + workgroup / of_chunk;
    return select(run.end_slot, slot, workgroup < of_chunk * run.chunks);
}

fn takes_part(slot: u32) -> bool {
    return slot < min(run.end_slot, arrayLength(&members));
}

// The member has to be read uniformly: loops over the rows of a step have barriers in them.
fn step_of(slot: u32, member: Member, batch: Cursor) -> Step {
    let padded = (member.batch_size + run.row_tile - 1u) / run.row_tile * run.row_tile;
{% if written %}
    // All slots are of one shape, so that a member's place among them is its slot.
    return Step(slot, 0u, member.layers, batch, member.scratch, {{ row_stride }}u, padded);
{% else %}
    return Step(
        member.index, member.first_layer, member.layers, batch, member.scratch, member.row_stride, padded);
{% endif %}
}
{% include "resident/tiles.wgsl" %}
{% include "resident/weights.wgsl" %}
