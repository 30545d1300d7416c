// Where a batch norm's parameters and running statistics are.

// gamma in `values`; beta is one row further.
fn scale_at(layer: ResidentLayer, index: u32, column: u32) -> u32 {
    return layer.scale + 2u * index * layer.output_stride + column;
}

fn running_at(layer: ResidentLayer, index: u32, column: u32) -> u32 {
    return layer.running + 2u * index * layer.output_stride + column;
}
