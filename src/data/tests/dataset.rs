use super::*;

type Change = fn(&mut Dataset);

fn base() -> Dataset {
    dataset(&[0, 1, 0, 1], Some(&[0, 0, 1, 1]))
}

#[test]
fn the_fingerprint_changes_with_every_part_of_the_data_and_with_nothing_else() {
    let changes: [(&str, Change); 9] = [
        ("a value", |d| {
            d.features = f32_features([0.0, 1.0, 2.0, 4.0])
        }),
        ("the storage", |d| {
            d.features = Features::new(1, FeatureValues::U8(vec![0, 1, 2, 3]))
        }),
        ("the shape", |d| {
            d.features = Features::new(2, FeatureValues::F32(vec![0.0, 1.0, 2.0, 3.0]))
        }),
        ("a feature's name", |d| d.feature_names[0].push('x')),
        ("a target", |d| d.targets[0] = 1),
        ("a class name", |d| d.class_names[0].push('x')),
        ("a group", |d| d.groups.as_mut().unwrap()[0] = 1),
        ("no groups", |d| d.groups = None),
        ("given rows", |d| d.given_test_rows = 1),
    ];
    let mut seen = vec![base().fingerprint()];
    for (change, apply) in changes {
        let mut data = base();
        apply(&mut data);
        let fingerprint = data.fingerprint();
        assert!(!seen.contains(&fingerprint), "{change}");
        seen.push(fingerprint);
    }
    let mut renamed = base();
    renamed.name = "other".into();
    assert_eq!(renamed.fingerprint(), seen[0]);
}

#[test]
fn names_do_not_run_into_each_other_in_the_fingerprint() {
    let named = |names: [&str; 2]| {
        let mut data = base();
        data.class_names = names.map(str::to_owned).to_vec();
        data.fingerprint()
    };
    assert_ne!(named(["ab", "c"]), named(["a", "bc"]));
}

#[test]
fn the_fingerprint_is_the_same_in_every_version() {
    assert_eq!(
        load(&config("iris")).unwrap().fingerprint(),
        "25a4921e0e64d5bacc583e48fb1942133ed6f129d35c73af6ac0ba8f3c890d4c"
    );
}

#[test]
fn features_know_their_shape_and_size() {
    let features = Features::new(2, FeatureValues::F32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    assert_eq!(
        (features.rows(), features.columns(), features.bytes()),
        (3, 2, 24)
    );
    assert_eq!(features.get(2, 1), 6.0);
    let bytes = Features::new(3, FeatureValues::U8(vec![1, 2, 255]));
    assert_eq!((bytes.rows(), bytes.columns(), bytes.bytes()), (1, 3, 3));
    assert_eq!(bytes.get(0, 2), 255.0);
}

fn f32_features(values: [f32; 4]) -> Features {
    Features::new(1, FeatureValues::F32(values.to_vec()))
}
