// The optimizer's update of the four parameters at `at` of the member's `stride` (both in vec4s), with
// its moments: moment vector j of the member begins at (first_moment + j) * stride.
{% include "shared/updated_parameter.wgsl" %}

fn apply_update(
    member: Member, cursor: Cursor, slot: u32, stride: u32, at: u32, gradient: vec4<f32>,
) {
    let parameter_at = slot * stride + at;
    weights[parameter_at] = updated_parameter(
        member, cursor, member.first_moment * stride + at, stride, weights[parameter_at], gradient);
}
