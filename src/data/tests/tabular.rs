use super::*;

/// Reads `content` as a CSV file.
fn read(content: impl AsRef<[u8]>) -> Result<Dataset, DataError> {
    read_with(content, |_| ())
}

fn read_with(
    content: impl AsRef<[u8]>,
    change: impl FnOnce(&mut DataConfig),
) -> Result<Dataset, DataError> {
    let folder = Folder::new();
    let mut config = config(&folder.file("data.csv", content));
    change(&mut config);
    load(&config)
}

/// With `target`, `group` and `categorical`, separated by spaces; `-` for none.
fn with(settings: &'static str) -> impl FnOnce(&mut DataConfig) {
    move |config| {
        let mut words = settings
            .split(' ')
            .map(|w| (w != "-").then(|| w.to_owned()));
        config.target = words.next().flatten();
        config.group = words.next().flatten();
        config.categorical = words.flatten().collect();
    }
}

#[test]
fn numbers_are_features_and_the_last_column_is_the_target() {
    let data = read("a,b,label\n1,2.5,x\n-3,4e1,y\n+5,.5,x\n").unwrap();
    assert_eq!(data.name, "data");
    assert_eq!(data.feature_names, ["a", "b"]);
    assert_eq!(values(&data), [1.0, 2.5, -3.0, 40.0, 5.0, 0.5]);
    assert_eq!(data.class_names, ["x", "y"]);
    assert_eq!(data.targets, [0, 1, 0]);
    assert_eq!((data.groups, data.given_test_rows), (None, 0));
}

#[test]
fn delimiters_line_ends_quotes_spaces_and_byte_order_marks_are_read() {
    let expected = read("a,b\n1,x\n2,y\n3,x\n").unwrap();
    let cases = [
        ("semicolons", "a;b\n1;x\n2;y\n3;x\n"),
        ("tabs", "a\tb\n1\tx\n2\ty\n3\tx\n"),
        ("carriage returns", "a,b\r\n1,x\r\n2,y\r\n3,x\r\n"),
        ("no last line end", "a,b\n1,x\n2,y\n3,x"),
        ("empty lines", "\na,b\n\n1,x\n2,y\n\n3,x\n\n"),
        ("quotes", "\"a\",b\n\"1\",\"x\"\n2,y\n3,x\n"),
        ("spaces", "a , b\n 1, x\n2 ,y\n3,x \n"),
        ("byte order mark", "\u{feff}a,b\n1,x\n2,y\n3,x\n"),
    ];
    for (case, content) in cases {
        assert_eq!(check_accepted(case, read(content)), expected, "{case}");
    }
    let quoted = read("a,b\n1,\"x, y\"\n2,y\n3,y\n").unwrap();
    assert_eq!(quoted.class_names, ["x, y", "y"]);
}

#[test]
fn targets_are_found_by_name_and_by_index() {
    let content = "a,1,b\n1,x,7\n2,y,8\n3,x,9\n4,x,9\n";
    let cases = [
        ("a", "regression"),
        ("1", ""),
        ("0", "4 classes in 4 rows"),
        ("3", "column `3` is not in"),
        ("-1", "column `-1` is not in"),
        ("c", "which has a, 1, b; name one of them (--target NAME)"),
    ];
    for (target, part) in cases {
        let data = read_with(content, |config| config.target = Some(target.into()));
        match (target, part) {
            (_, "") => assert_eq!(data.unwrap().class_names, ["x", "y"]),
            ("a", _) => check_error(target, data, "4 classes in 4 rows"),
            _ => check_error(target, data, part),
        }
    }
}

#[test]
fn targets_of_numbers_are_classes_in_the_order_of_numbers() {
    let data = read("a,t\n1,10\n1,2.0\n1,2\n1,-1\n1,1e1\n").unwrap();
    assert_eq!(data.class_names, ["-1", "2", "10"]);
    assert_eq!(data.targets, [2, 1, 1, 0, 2]);
    let as_text = read_with("a,t\n1,10\n1,2.5\n1,2.5\n", with("- - t")).unwrap();
    assert_eq!(as_text.class_names, ["2.5", "10"]);
}

#[test]
fn text_columns_are_one_column_per_value_in_sorted_order() {
    let data = read("size,n,t\nmid,1,x\nbig,2,y\nmid,3,x\n").unwrap();
    assert_eq!(data.feature_names, ["size=big", "size=mid", "n"]);
    assert_eq!(values(&data), [0.0, 1.0, 1.0, 1.0, 0.0, 2.0, 0.0, 1.0, 3.0]);
    let listed = read_with("zip,t\n10,x\n9,y\n10,x\n", with("- - zip")).unwrap();
    assert_eq!(listed.feature_names, ["zip=9", "zip=10"]);
    assert_eq!(values(&listed), [0.0, 1.0, 1.0, 0.0, 0.0, 1.0]);
}

#[test]
fn the_group_is_no_feature() {
    let data = read_with("g,a,t\nbob,1,x\nann,2,y\nbob,3,x\n", with("t g")).unwrap();
    assert_eq!(data.feature_names, ["a"]);
    assert_eq!(data.groups, Some(vec![0, 1, 0]));
    let numbers = read_with("g,a,t\n7,1,x\n3,2,y\n7,3,x\n", with("t g")).unwrap();
    assert_eq!(numbers.groups, Some(vec![0, 1, 0]));
}

#[test]
fn malformed_files_are_refused_and_their_twins_are_accepted() {
    let cases: [(&str, &str, &str); 19] = [
        ("a,t\n1,x\n2\n3,y\n", "a,t\n1,x\n2,y\n3,y\n", "line 3 of"),
        (
            "a,t\n1,x\n2,y,z\n3,y\n",
            "a,t\n1,x\n2,y\n3,y\n",
            "has 3 cells, but the header has 2",
        ),
        (
            "a,t\n1,x\n,y\n3,y\n",
            "a,t\n1,x\n2,y\n3,y\n",
            "line 3, column `a`",
        ),
        (
            "a,t\n1,x\n ,y\n3,y\n",
            "a,t\n1,x\n2,y\n3,y\n",
            "data.csv is empty; fill it in",
        ),
        (
            "a,t\n1,x\n2,\n3,y\n",
            "a,t\n1,x\n2,y\n3,y\n",
            "line 3, column `t`",
        ),
        (
            "a,t\n1,x\nnan,y\n3,y\n",
            "a,t\n1,x\n2,y\n3,y\n",
            "`nan` is not a finite number",
        ),
        (
            "a,t\n1,x\n-inf,y\n3,y\n",
            "a,t\n1,x\n2,y\n3,y\n",
            "`-inf` is not a finite number",
        ),
        (
            "a,t\n1,x\n2,NaN\n3,y\n",
            "a,t\n1,x\n2,y\n3,y\n",
            "`NaN` is not a finite number",
        ),
        (
            "a,t\n1,x\n1e39,y\n3,y\n",
            "a,t\n1,x\n3e38,y\n3,y\n",
            "is beyond the range of f32",
        ),
        (
            "a,t\n1,x\n-1e999,y\n3,y\n",
            "a,t\n1,x\n1e-999,y\n3,y\n",
            "is beyond the range of f32",
        ),
        (
            "a,t\n1,x\nn/a,y\n3,y\n",
            "a,t\nn,x\nn/a,y\nn,y\n",
            "line 3, column `a`",
        ),
        (
            "a,t\nn/a,x\nb,x\n3,y\n",
            "a,t\n1,x\n2,x\n3,y\n",
            "line 2, column `a`",
        ),
        (
            "a,t\n1,0\n2,x\n3,1\n",
            "a,t\n1,0\n2,1\n3,1\n",
            "`x` is text in a column with numbers",
        ),
        (
            "a,a,t\n1,2,x\n1,2,y\n1,2,y\n",
            "a,b,t\n1,2,x\n1,2,y\n1,2,y\n",
            "two columns named `a`",
        ),
        ("a,t\n", "a,t\n1,x\n2,y\n3,y\n", "has no rows"),
        (
            "t\nx\ny\ny\n",
            "a,t\n1,x\n2,y\n3,y\n",
            "has no feature columns",
        ),
        (
            "a,t\n1,x\n2,x\n",
            "a,t\n1,x\n2,y\n3,y\n",
            "has the class `x`, but at least two",
        ),
        (
            "a,t\n1,x\n2,y\n3,z\n",
            "a,t\n1,x\n2,y\n3,y\n",
            "has 3 classes in 3 rows",
        ),
        (
            "a,t\n1,1\n2,1.5\n3,1\n",
            "a,t\n1,1\n2,2.0\n3,1\n",
            "holds 1.5 in line 3, and regression",
        ),
    ];
    for (refused, accepted, part) in cases {
        check_error(refused, read(refused), part);
        check_accepted(accepted, read(accepted));
    }
}

#[test]
fn what_is_no_utf_8_text_is_refused_with_its_line_or_its_format() {
    let cases: [(&[u8], &str); 8] = [
        (b"a,t\n1,x\n\xff\xfe,y\n3,y\n", "line 3 of"),
        (b"a,t\r\n\r\n1,x\r\n2,gr\xf6\r\n", "line 4 of"),
        (b"a,t\r1,x\r2,gr\xf6\r", "line 3 of"),
        (
            b"gr\xf6,t\n1,x\n",
            "is not UTF-8 text; save it as CSV in UTF-8",
        ),
        (
            b"\xff\xfea\0,\0b\0",
            "is UTF-16 text, not CSV text; save it",
        ),
        (b"\xfe\xff\0a\0,\0b", "is UTF-16 text"),
        (b"PK\x03\x04a,b", "is an Excel or ZIP file, not CSV text"),
        (
            b"\x1f\x8b\x08a,b",
            "is a gzip file, not CSV text; unpack it",
        ),
    ];
    for (content, part) in cases {
        check_error(part, read(content), part);
    }
    check_accepted("twin", read("gr\u{f6},t\n1,x\n2,y\n3,y\n"));
}

#[test]
fn refusals_of_rows_and_columns_name_a_remedy_in_one_line() {
    let long = format!("a,t\n1,x\n{},y\n3,y\n", "q".repeat(500));
    let cases = [
        (
            "a,t\n1,x\n2\n3,y\n",
            "has 1 cell, but the header has 2; complete the row",
        ),
        ("a,t\n1,x\n2,y,z\n3,y\n", "has 2; put quotes around cells"),
        (
            "a,t\n1,x\n\"2,y\n3,y\n",
            "close the quotes that are open in it",
        ),
        (
            "1,1,0\n2,3,1\n",
            "two columns named `1`, as if its first line were data",
        ),
        (",,t\n2,3,1\n", "two columns without a name"),
        (
            "a;t\n1;x\n1,5;y\n3;y\n",
            "write numbers with a decimal point",
        ),
        ("a,\"b\nc\"\n1,x\n2,\n", "column `b\\nc`"),
        (
            "a,t\n1,x\n\"q\nr\x1b[31m\",y\n3,y\n",
            "`q\\nr\\u{1b}[31m` is text",
        ),
        (
            "a|t\n1|x\n2|y\n",
            "divide its cells by commas, semicolons or tabs",
        ),
        (&long, "qqq...` is text in a column with numbers"),
    ];
    for (content, part) in cases {
        check_error(content, read(content), part);
    }
}

#[test]
fn settings_that_name_columns_are_checked() {
    let content = "g,a,t\n7,1,x\n3,2,y\n7,3,x\n";
    let cases = [
        ("t h", "column `h` is not in", "t g"),
        ("t g b", "(`categorical`)", "t g a"),
        ("t t", "column `t` is both the target and the group", "t g"),
    ];
    for (refused, part, accepted) in cases {
        check_error(refused, read_with(content, with(refused)), part);
        check_accepted(accepted, read_with(content, with(accepted)));
    }
    let no_features = read_with("g,t\n1,x\n2,y\n3,y\n", with("t g"));
    check_error("group alone", no_features, "has no feature columns");
}

#[test]
fn lines_are_those_of_an_editor() {
    let cases = [
        ("plain", "a,t\n1,x\n2,y\nbad,y\n", 4),
        ("carriage returns", "a,t\r\n1,x\r\n2,y\r\nbad,y\r\n", 4),
        ("empty lines", "a,t\n1,x\n\n\n2,y\nbad,y\n", 6),
        ("empty lines before", "a,t\n1,x\n2,y\n\n\nbad,y\n", 6),
        (
            "empty lines, carriage returns",
            "a,t\r\n1,x\r\n\r\nbad,y\r\n",
            4,
        ),
        ("quoted line end", "a,t\n1,\"x\nx\"\n2,y\nbad,y\n", 5),
        ("no last line end", "a,t\n1,x\n2,y\nbad,y", 4),
    ];
    for (case, content, line) in cases {
        check_error(case, read(content), &format!("line {line}, column `a`"));
    }
}

#[test]
fn classes_and_categories_are_limited() {
    let rows = |distinct: usize| -> String {
        let row = |row: usize| format!("1,v{},{}\n", row % distinct, row % 2);
        "n,text,t\n".to_owned() + &(0..3 * distinct).map(row).collect::<String>()
    };
    let data = check_accepted("1000 categories", read(rows(1000)));
    assert_eq!(data.features.columns(), 1001);
    check_error(
        "1001 categories",
        read(rows(1001)),
        "has 1001 different texts",
    );
    let target = |config: &mut DataConfig| config.target = Some("text".into());
    let data = check_accepted("1000 classes", read_with(rows(1000), target));
    assert_eq!(data.classes(), 1000);
    check_error(
        "1001 classes",
        read_with(rows(1001), target),
        "has 1001 classes in 3003 rows",
    );
}

/// 60,000 rows of 1000 different words in each of 9 columns: 4 MB become 2 GB.
#[test]
fn a_small_file_that_would_fill_the_memory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (rows, accepted) in [(60_000, false), (2_000, true)] {
        let path = folder.path().join(format!("{rows}.csv"));
        let columns: String = (0..9).map(|c| format!("c{c},")).collect();
        let row = |r: usize| {
            let cells: String = (0..9).map(|c| format!("w{},", (r + c) % 1000)).collect();
            format!("{cells}{}\n", r % 2)
        };
        let rows: String = (0..rows).map(row).collect();
        fs::write(&path, format!("{columns}class\n{rows}")).unwrap();
        let loaded = load(&config(path.to_str().unwrap()));
        match loaded {
            Ok(dataset) => assert!(accepted && dataset.features.columns() == 9000),
            Err(error) => assert!(
                !accepted && error.to_string().contains("9000 columns"),
                "{error}"
            ),
        }
    }
}
