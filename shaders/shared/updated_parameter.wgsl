// Four parameters after the optimizer's update; their moments, in `moments` from `at` on and one
// vector of `stride` vec4s further, are updated in place.
fn updated_parameter(
    member: Member, cursor: Cursor, at: u32, stride: u32, parameter: vec4<f32>, gradient: vec4<f32>,
) -> vec4<f32> {
    let count = moments_of(member.optimizer);
    var moment_1 = vec4<f32>(0.0);
    var moment_2 = vec4<f32>(0.0);
    if (count > 0u) {
        moment_1 = moments[at];
    }
    if (count > 1u) {
        moment_2 = moments[at + stride];
    }
    let updated = optimizer_update(
        member, cursor.step_size, cursor.epsilon, parameter, gradient, moment_1, moment_2);
    if (count > 0u) {
        moments[at] = updated.moment_1;
    }
    if (count > 1u) {
        moments[at + stride] = updated.moment_2;
    }
    return updated.parameter;
}
