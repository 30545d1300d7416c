// The optimizer's update of four parameters at `at` of the member's `stride` (both in vec4s), with
// its moments: moment vector j of the member begins at (first_moment + j) * stride.
fn apply_update(
    member: Member, cursor: Cursor, slot: u32, stride: u32, at: u32, gradient: vec4<f32>,
) {
    let count = moments_of(member.optimizer);
    let parameter_at = slot * stride + at;
    let moment_at = member.first_moment * stride + at;
    var moment_1 = vec4<f32>(0.0);
    var moment_2 = vec4<f32>(0.0);
    if (count > 0u) {
        moment_1 = moments[moment_at];
    }
    if (count > 1u) {
        moment_2 = moments[moment_at + stride];
    }
    let updated = optimizer_update(
        member, cursor.step_size, cursor.epsilon,
        weights[parameter_at], gradient, moment_1, moment_2);
    weights[parameter_at] = updated.parameter;
    if (count > 0u) {
        moments[moment_at] = updated.moment_1;
    }
    if (count > 1u) {
        moments[moment_at + stride] = updated.moment_2;
    }
}
