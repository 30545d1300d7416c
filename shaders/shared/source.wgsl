// The inputs of a layer: activations of the layer before, or rows of the dataset in the order of
// the epoch, scaled as they are loaded: x' = (x - offset) * factor. Twin: src/engine/cpu/gather.rs.
{% if source == "activations" %}
@group(0) @binding(5) var<storage, read> inputs: array<vec4<f32>>;

fn load_input(tile: Tile, cursor: Cursor, row: u32, column_4: u32) -> vec4<f32> {
    return inputs[(tile.activation_row + row) * layer.input_stride + column_4];
}
{% else %}
@group(0) @binding(5) var<storage, read> features: array<{{ "u32" if source == "features_u8" else "vec4<f32>" }}>;
@group(0) @binding(7) var<storage, read> orders: array<u32>;
// For each fold a row of offsets and a row of factors; both are 0 in the padding.
@group(0) @binding(8) var<storage, read> scaling: array<vec4<f32>>;

fn load_input(tile: Tile, cursor: Cursor, row: u32, column_4: u32) -> vec4<f32> {
    let stored = features[orders[cursor.first + tile.row + row] * layer.input_stride + column_4];
{% if source == "features_u8" %}
    let value = vec4<f32>(
        f32(stored & 0xffu), f32((stored >> 8u) & 0xffu),
        f32((stored >> 16u) & 0xffu), f32(stored >> 24u));
{% else %}
    let value = stored;
{% endif %}
    let at = 2u * cursor.scaling * layer.input_stride + column_4;
    return without_least(value - scaling[at]) * scaling[at + layer.input_stride];
}
{% endif %}
