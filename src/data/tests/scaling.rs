use super::super::{Scale, Scaling};
use super::*;

/// Offset and factor of one column.
type Fitted = (f32, f32);

#[track_caller]
fn check_close(case: &str, found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{case}");
    for (&found, &expected) in found.iter().zip(expected) {
        let close = (f64::from(found) - expected).abs() <= 1e-6 * expected.abs();
        assert!(close, "{case}: {found} is not {expected}");
    }
}

fn fit(column: &[f32], scale: Scale) -> Fitted {
    let features = Features::new(1, FeatureValues::F32(column.to_vec()));
    let rows: Vec<u32> = (0..column.len() as u32).collect();
    let scaling = Scaling::fit(&features, &rows, scale);
    (scaling.offset[0], scaling.factor[0])
}

#[test]
fn iris_is_scaled_as_by_scikit_learn() {
    let data = load(&config("iris")).unwrap();
    let rows: Vec<u32> = (0..150).collect();
    // StandardScaler().fit(load_iris().data): mean_, scale_.
    let scaling = Scaling::fit(&data.features, &rows, Scale::Standard);
    let means = [5.843_333_33, 3.057_333_33, 3.758, 1.199_333_33];
    check_close("mean", &scaling.offset, &means);
    let deviations = [0.825_301_29, 0.434_410_97, 1.759_404_07, 0.759_692_63];
    check_close("deviation", &scaling.factor, &deviations.map(|d| 1.0 / d));
    // MinMaxScaler().fit(load_iris().data): data_min_, data_range_.
    let scaling = Scaling::fit(&data.features, &rows, Scale::Minmax);
    check_close("least", &scaling.offset, &[4.3, 2.0, 1.0, 0.1]);
    check_close(
        "range",
        &scaling.factor,
        &[3.6, 2.4, 5.9, 2.4].map(|r| 1.0 / r),
    );
    let scaling = Scaling::fit(&data.features, &rows, Scale::None);
    assert_eq!(scaling, Scaling::identity(4));
}

#[test]
fn only_the_given_rows_are_fitted_in_both_storages() {
    let values = [1_u8, 100, 3, 200, 200, 200];
    let storages = [
        FeatureValues::U8(values.to_vec()),
        FeatureValues::F32(values.map(f32::from).to_vec()),
    ];
    for values in storages {
        let features = Features::new(2, values);
        let scaling = Scaling::fit(&features, &[0, 1], Scale::Standard);
        assert_eq!(
            (scaling.offset, scaling.factor),
            (vec![2.0, 150.0], vec![1.0, 0.02])
        );
    }
}

#[test]
fn constant_and_extreme_columns_get_finite_factors() {
    let cases: [(&str, &[f32], Scale, Fitted); 8] = [
        ("constant", &[0.1; 7], Scale::Standard, (0.1, 1.0)),
        (
            "constant, large",
            &[1e30; 1000],
            Scale::Standard,
            (1e30, 1.0),
        ),
        (
            "constant, not binary",
            &[16_777.217; 1000],
            Scale::Standard,
            (16_777.217, 1.0),
        ),
        ("constant", &[0.1; 7], Scale::Minmax, (0.1, 1.0)),
        ("zero", &[0.0; 3], Scale::Standard, (0.0, 1.0)),
        ("subnormal range", &[0.0, 1e-44], Scale::Minmax, (0.0, 1.0)),
        ("one row", &[5.0], Scale::Standard, (5.0, 1.0)),
        (
            "small beside its mean",
            &[1e6, 1_000_000.06],
            Scale::Standard,
            (1e6, 32.0),
        ),
    ];
    for (case, column, scale, expected) in cases {
        assert_eq!(fit(column, scale), expected, "{case}");
    }
}

#[test]
fn a_large_mean_does_not_spoil_the_deviation() {
    // By sums of squares in f32 the variance would be negative.
    let column: Vec<f32> = (0..1000).map(|row| 1e6 + (row % 2) as f32).collect();
    let (offset, factor) = fit(&column, Scale::Standard);
    assert_eq!((offset, factor), (1_000_000.5, 2.0));
}
