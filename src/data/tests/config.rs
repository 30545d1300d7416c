use super::super::{Scale, SplitKind};
use super::*;

fn parse(toml: &str) -> Result<DataConfig, toml::de::Error> {
    toml::from_str(toml)
}

#[test]
fn an_empty_table_is_the_default() {
    let config = parse("").unwrap();
    assert_eq!(config, DataConfig::default());
    assert_eq!(config.source, "digits");
    assert_eq!(config.test, TestPart::Fraction(0.2));
    assert_eq!(config.scale, Scale::Standard);
    assert_eq!(config.folds_count(), 1);
    assert_eq!(config.holdout_fraction(), Some(0.2));
    assert_eq!(config.repeats, 1);
    config.validate().unwrap();
}

#[test]
fn settings_are_read_as_the_sweep_file_has_them() {
    let config = parse(
        "source = 'a.csv'\ntarget = 'label'\nscale = 'minmax'\ntest = 'b.csv'\nfolds = 3\n\
         split = 'ordered'\ngroup = 'subject'\ncategorical = ['zip']\nrepeats = 2",
    );
    let config = config.unwrap();
    assert_eq!(config.target.as_deref(), Some("label"));
    assert_eq!(config.scale, Scale::Minmax);
    assert_eq!(config.split, SplitKind::Ordered);
    assert_eq!(config.group.as_deref(), Some("subject"));
    assert_eq!(config.categorical, ["zip"]);
    assert_eq!((config.folds_count(), config.repeats), (3, 2));
    assert_eq!(config.holdout_fraction(), None);
    let index = parse("target = 0\ngroup = 3").unwrap();
    assert_eq!(index.target.as_deref(), Some("0"));
    assert_eq!(index.group.as_deref(), Some("3"));
    assert!(parse("target = 0.5").is_err());
    assert!(parse("fold = 3").is_err());
    assert!(parse("scale = 'robust'").is_err());
}

#[test]
fn the_test_part_is_a_number_a_word_or_a_file_and_survives_a_round_trip() {
    let cases = [
        ("test = 0.3", TestPart::Fraction(0.3)),
        ("test = 0", TestPart::Fraction(0.0)),
        ("test = 'given'", TestPart::Given),
        ("test = 'b.csv'", TestPart::File("b.csv".into())),
    ];
    for (text, expected) in cases {
        let config = parse(text).unwrap();
        assert_eq!(config.test, expected, "{text}");
        let again = parse(&toml::to_string(&config).unwrap()).unwrap();
        assert_eq!(again, config, "{text}");
    }
    assert!(parse("test = true").is_err());
    assert_eq!("0.5".parse(), Ok(TestPart::Fraction(0.5)));
}

#[test]
fn each_limit_refuses_and_its_twin_is_accepted() {
    let cases = [
        ("source = ''", "source = 'iris'", "`source` is empty"),
        (
            "folds = 0",
            "folds = 2",
            "`folds` is 0, but must be at least 2",
        ),
        (
            "folds = 1",
            "folds = 2",
            "`folds` is 1, but must be at least 2",
        ),
        (
            "holdout = 0.0",
            "holdout = 0.01",
            "`holdout` is 0, but must be a fraction above 0",
        ),
        ("holdout = 1.0", "holdout = 0.99", "`holdout` is 1, but"),
        ("holdout = nan", "holdout = 0.5", "`holdout` is nan, but"),
        (
            "test = 1.0",
            "test = 0.99",
            "`test` is 1, but must be a fraction of at least 0",
        ),
        ("test = -0.1", "test = 0.0", "`test` is -0.1, but"),
        ("test = nan", "test = 0.5", "`test` is nan, but"),
        (
            "repeats = 0",
            "repeats = 1",
            "`repeats` is 0, but must be at least 1",
        ),
        (
            "folds = 3\nholdout = 0.2",
            "folds = 3",
            "`folds` and `holdout` cannot be used together",
        ),
        (
            "split = 'ordered'\ngroup = 'g'",
            "group = 'g'",
            "and `group` cannot be used together",
        ),
    ];
    for (refused, accepted, part) in cases {
        check_error(refused, parse(refused).unwrap().validate(), part);
        check_accepted(accepted, parse(accepted).unwrap().validate());
    }
}

#[test]
fn load_and_split_refuse_an_invalid_config() {
    let mut bad = config("iris");
    bad.folds = Some(1);
    check_error("load", load(&bad), "`folds` is 1");
    let data = load(&config("iris")).unwrap();
    let splits = super::super::split(&data, &bad, crate::seed::Seed(0));
    check_error("split", splits, "`folds` is 1");
}
