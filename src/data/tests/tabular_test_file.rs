//! `test = "file.csv"`.

use super::*;

const TRAIN: &str = "size,n,g,t\nmid,1,a,2\nbig,2,b,10\nmid,3,a,2\n";

fn read(test: &str, group: Option<&str>) -> Result<Dataset, DataError> {
    let folder = Folder::new();
    let mut config = config(&folder.file("train.csv", TRAIN));
    config.test = TestPart::File(folder.file("test.csv", test));
    config.group = group.map(str::to_owned);
    load(&config)
}

#[test]
fn its_rows_follow_encoded_as_the_training_data() {
    let data = read("t,g,n,size\n10.0,c,7,mid\n2,c,8,big\n", Some("g")).unwrap();
    assert_eq!((data.rows(), data.given_test_rows), (5, 2));
    assert_eq!(data.feature_names, ["size=big", "size=mid", "n"]);
    assert_eq!(values(&data)[9..], [0.0, 1.0, 7.0, 1.0, 0.0, 8.0]);
    assert_eq!(data.class_names, ["2", "10"]);
    assert_eq!(data.targets, [0, 1, 0, 1, 0]);
    assert_eq!(data.groups, Some(vec![0, 1, 0, 2, 2]));
}

#[test]
fn what_the_training_data_lacks_is_refused() {
    let header = "size,n,g,t\n";
    let cases = [
        (
            "mid,1,a,3\n",
            None,
            "test.csv has `3` in line 2, column `t`, which the training data lacks",
        ),
        ("mid,1,a,x\n", None, "has `x` in line 2, column `t`"),
        (
            "mid,1,a,2\ntiny,1,a,2\n",
            None,
            "has `tiny` in line 3, column `size`",
        ),
        (
            "mid,1,c,2\n",
            None,
            "has `c` in line 2, column `g`, which the training data lacks (it has a, b)",
        ),
        ("mid,one,a,2\n", None, "line 2, column `n`"),
        ("5,1,a,2\n", None, "has `5` in line 2, column `size`"),
        (
            "mid,1,a,2\n",
            Some("g"),
            "group `a` is in both the training data and",
        ),
        ("", None, "test.csv has no rows"),
    ];
    check_accepted("twin", read(&format!("{header}mid,1,a,2\n"), None));
    check_accepted(
        "twin with group",
        read(&format!("{header}mid,1,c,2\n"), Some("g")),
    );
    for (rows, group, part) in cases {
        check_error(rows, read(&format!("{header}{rows}"), group), part);
    }
}

#[test]
fn other_columns_are_refused() {
    let cases = [
        ("size,n,t\nmid,1,2\n", "but lacks g; make"),
        (
            "size,n,g,t,more\nmid,1,a,2,3\n",
            "but has more beyond them; make",
        ),
        (
            "size,m,g,t\nmid,1,a,2\n",
            "but lacks n and has m beyond them; make",
        ),
    ];
    for (content, part) in cases {
        check_error(content, read(content, None), part);
    }
}

#[test]
fn a_missing_file_is_refused() {
    let folder = Folder::new();
    let mut config = config(&folder.file("train.csv", TRAIN));
    config.test = TestPart::File(folder.path("nothing.csv").to_str().unwrap().into());
    check_error(
        "missing",
        load(&config),
        "nothing.csv does not exist; name a CSV file",
    );
}
