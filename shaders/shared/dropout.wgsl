// Inverted dropout by Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy
// as 1, 2, 3; SC 2011). Twins: src/train/philox.rs, src/engine/cpu/dropout.rs.

// High and low word of a 32 x 32 bit product, by halves: not every adapter has 64-bit integers.
fn multiply_wide(a: u32, b: u32) -> vec2<u32> {
    let a_low = a & 0xffffu;
    let a_high = a >> 16u;
    let b_low = b & 0xffffu;
    let b_high = b >> 16u;
    let low = a_low * b_low;
    let middle = a_high * b_low + (low >> 16u);
    let middle_2 = a_low * b_high + (middle & 0xffffu);
    return vec2<u32>(a_high * b_high + (middle >> 16u) + (middle_2 >> 16u), a * b);
}

fn philox4x32(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    var c = counter;
    var k = key;
    for (var round = 0u; round < 10u; round++) {
        let p = multiply_wide(0xd2511f53u, c.x);
        let q = multiply_wide(0xcd9e8d57u, c.z);
        c = vec4<u32>(q.x ^ c.y ^ k.x, q.y, p.x ^ c.w ^ k.y, p.y);
        k += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
    }
    return c;
}

// What four units that lie beside each other are multiplied by: the scale, or 0.
// The counter is (unit / 4, row in the batch, layer, step).
fn dropout_factors(member: Member, unit_4: u32, row: u32, layer: u32, step: u32) -> vec4<f32> {
    let key = vec2<u32>(member.dropout_key_0, member.dropout_key_1);
    let words = philox4x32(vec4<u32>(unit_4, row, layer, step), key);
    let kept = words >= vec4<u32>(member.dropout_threshold);
    return select(vec4<f32>(0.0), vec4<f32>(member.dropout_scale), kept);
}
