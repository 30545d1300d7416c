// Four parameters and their moments, which lie in `moments` from `at` on and one vector of `stride` vec4s further.

struct Moments {
    first: vec4<f32>,
    second: vec4<f32>,
}

// Those that the member's optimizer keeps; 0 for others.
fn moments_at(member: Member, at: u32, stride: u32) -> Moments {
    let count = moments_of(member.optimizer);
    var found = Moments(vec4<f32>(0.0), vec4<f32>(0.0));
    if (count > 0u) {
        found.first = moments[at];
    }
    if (count > 1u) {
        found.second = moments[at + stride];
    }
    return found;
}

fn keep_moments(member: Member, at: u32, stride: u32, updated: Updated) {
    let count = moments_of(member.optimizer);
    if (count > 0u) {
        moments[at] = updated.moment_1;
    }
    if (count > 1u) {
        moments[at + stride] = updated.moment_2;
    }
}

// The parameters after the optimizer's update; their moments are updated in place.
fn updated_parameter(
    member: Member, cursor: Cursor, at: u32, stride: u32, parameter: vec4<f32>, gradient: vec4<f32>,
) -> vec4<f32> {
    let before = moments_at(member, at, stride);
    let updated = optimizer_update(
        member, cursor.step_size, cursor.epsilon, parameter, gradient, before.first, before.second);
    keep_moments(member, at, stride, updated);
    return updated.parameter;
}
