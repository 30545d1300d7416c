//! Colours that carry data.

/// Matplotlib's viridis at 0, 0.1 .. 1: even in lightness, and readable without colour vision.
const VIRIDIS: [[u8; 3]; 11] = [
    [68, 1, 84],
    [72, 36, 117],
    [65, 68, 135],
    [53, 95, 141],
    [42, 120, 142],
    [33, 145, 140],
    [34, 168, 132],
    [68, 191, 112],
    [122, 209, 81],
    [189, 223, 38],
    [253, 231, 37],
];

/// Number of classes `c0`, `c1`, .. in style.css.
pub(super) const SERIES: usize = 8;

/// The class that colours a series.
pub(super) fn series_class(series: usize) -> String {
    format!("c{}", series % SERIES)
}

/// Viridis at a share of its range, as `#rrggbb`.
pub(super) fn viridis(share: f64) -> String {
    let [r, g, b] = rgb(share).map(|channel| channel.round() as u8);
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// Class of the text that is readable on [`viridis`] of the same share.
pub(super) fn ink_on_viridis(share: f64) -> &'static str {
    let light = relative_luminance(rgb(share));
    // Contrast with white is (1 + 0.05) / (light + 0.05), with black (light + 0.05) / 0.05.
    if (light + 0.05).powi(2) > 1.05 * 0.05 {
        "on-light"
    } else {
        "on-dark"
    }
}

fn rgb(share: f64) -> [f64; 3] {
    let place = share.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f64;
    let below = (place.floor() as usize).min(VIRIDIS.len() - 2);
    let part = place - below as f64;
    let mix = |channel: usize| {
        let [low, high] = [below, below + 1].map(|i| f64::from(VIRIDIS[i][channel]));
        low + part * (high - low)
    };
    [0, 1, 2].map(mix)
}

/// WCAG 2's relative luminance.
fn relative_luminance(rgb: [f64; 3]) -> f64 {
    let linear = rgb.map(|channel| {
        let c = channel / 255.0;
        if c <= 0.04045 {
            c / 12.92
        } else {
            ((c + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_and_middle_of_viridis() {
        assert_eq!(
            [-1.0, 0.0, 0.5, 1.0, f64::NAN].map(viridis)[..4],
            ["#440154", "#440154", "#21918c", "#fde725"]
        );
    }

    #[test]
    fn text_on_every_shade_has_a_contrast_of_4_5() {
        for step in 0..=100 {
            let share = f64::from(step) / 100.0;
            let light = relative_luminance(rgb(share));
            let contrast = match ink_on_viridis(share) {
                "on-light" => (light + 0.05) / 0.05,
                _ => 1.05 / (light + 0.05),
            };
            assert!(contrast >= 4.5, "{share}: {contrast}");
        }
    }
}
