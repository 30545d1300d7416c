use super::super::FeatureValues;
use super::*;

/// Name, shape, first and last feature, rows per class.
type Case = (
    &'static str,
    [usize; 2],
    &'static str,
    &'static str,
    &'static [(&'static str, usize)],
);

#[test]
fn built_in_datasets_have_scikit_learns_shapes_names_and_class_counts() {
    let cases: [Case; 4] = [
        (
            "digits",
            [1797, 64],
            "pixel_0_0",
            "pixel_7_7",
            &[
                ("0", 178),
                ("1", 182),
                ("2", 177),
                ("3", 183),
                ("4", 181),
                ("5", 182),
                ("6", 181),
                ("7", 179),
                ("8", 174),
                ("9", 180),
            ],
        ),
        (
            "iris",
            [150, 4],
            "sepal length (cm)",
            "petal width (cm)",
            &[("setosa", 50), ("versicolor", 50), ("virginica", 50)],
        ),
        (
            "wine",
            [178, 13],
            "alcohol",
            "proline",
            &[("class_0", 59), ("class_1", 71), ("class_2", 48)],
        ),
        (
            "breast_cancer",
            [569, 30],
            "mean radius",
            "worst fractal dimension",
            &[("malignant", 212), ("benign", 357)],
        ),
    ];
    for (name, [rows, columns], first, last, classes) in cases {
        let data = check_accepted(name, load(&config(name)));
        assert_eq!(data.name, name);
        assert_eq!((data.rows(), data.features.rows()), (rows, rows), "{name}");
        assert_eq!(data.features.columns(), columns, "{name}");
        assert_eq!(data.feature_names.len(), columns, "{name}");
        assert_eq!(data.feature_names[0], first);
        assert_eq!(data.feature_names[columns - 1], last);
        let counts: Vec<(&str, usize)> = (0..data.classes())
            .map(|class| {
                let rows = data.targets.iter().filter(|&&t| t as usize == class);
                (data.class_names[class].as_str(), rows.count())
            })
            .collect();
        assert_eq!(counts, classes, "{name}");
        assert_eq!((data.given_test_rows, data.groups), (0, None), "{name}");
    }
}

#[test]
fn digits_are_bytes_up_to_16_and_the_first_row_is_the_known_zero() {
    let data = load(&config("digits")).unwrap();
    let FeatureValues::U8(values) = data.features.values() else {
        panic!("digits are bytes");
    };
    assert_eq!(values.iter().max(), Some(&16));
    assert_eq!(values[..10], [0, 0, 5, 13, 9, 1, 0, 0, 0, 0]);
    assert_eq!(data.features.bytes(), 1797 * 64);
    // numpy: load_digits().data.sum()
    let sum: u64 = values.iter().map(|&value| u64::from(value)).sum();
    assert_eq!(sum, 561_718);
}

#[test]
fn feature_sums_are_those_of_the_source() {
    // numpy: load_*().data.sum(); the values here are rounded to f32.
    let cases = [
        ("iris", 2078.7),
        ("wine", 159_975.296),
        ("breast_cancer", 1_056_474.46),
    ];
    for (name, expected) in cases {
        let data = load(&config(name)).unwrap();
        let sum: f64 = values(&data).iter().map(|&value| f64::from(value)).sum();
        assert!((sum - expected).abs() < 0.1, "{name}: {sum}");
    }
}

#[test]
fn regression_sets_are_refused_with_those_that_are_trained() {
    check_error(
        "diabetes",
        load(&config("diabetes")),
        "regression, which is not trained yet in this version; take one with classes \
         (breast_cancer, digits, iris, wine)",
    );
}
