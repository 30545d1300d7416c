//! What a crash or a full disk can leave behind.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::checkpoint::{self, Checkpoint, CheckpointHeader, MemberHistory};
use super::jsonl::{Appender, Reader};
use super::*;
use crate::engine::{MemberSnapshot, Trace};
use crate::train::{MemberId, REFIT};

fn run_record() -> RunRecord {
    let adapter = json!({"name": "n", "backend": "native", "driver": "d", "engine": "cpu"});
    RunRecord {
        schema_version: SCHEMA_VERSION,
        version: "0.1.0".to_owned(),
        created: "2026-01-01T00:00:00Z".to_owned(),
        sweep: json!({"train": {"objective": "val_accuracy"}}),
        seed: 0,
        data: DataRecord {
            name: "iris".to_owned(),
            fingerprint: "f".to_owned(),
            rows: 120,
            test_rows: 30,
            features: 4,
            classes: vec!["a".to_owned(), "b".to_owned()],
        },
        adapter: serde_json::from_value(adapter).unwrap(),
        plan: PlanRecord {
            trials: 2,
            members_per_trial: 3,
            limits: crate::plan::Limits {
                most_bytes: 1,
                most_members: 1,
                enough_bytes: 1,
                enough_members: 1,
                layout: None,
            },
        },
    }
}

fn wave(number: u64) -> WaveRecord {
    WaveRecord {
        wave: number,
        trials: 1,
        members: 3,
        uniform: true,
        samples: 10,
        compile_s: 0.0,
        train_s: 0.5,
        evaluate_s: 0.25,
        wall_s: 1.0,
    }
}

fn trial(number: u64) -> TrialRecord {
    let metric = MetricRecord {
        mean: None,
        std: None,
        folds: vec![Some(0.1), None],
    };
    TrialRecord {
        trial: number,
        state: TrialState::Diverged,
        params: json!({"z": 1, "a": [64, 64]}).as_object().unwrap().clone(),
        epochs: 2,
        parameters: 7,
        metrics: [("val_loss".to_owned(), metric)].into(),
        curves: [("train_loss".to_owned(), vec![vec![Some(1.0), None]])].into(),
        samples: 10,
        steps: 5,
        flops: 100,
        wave: number,
    }
}

/// Appends, and waits for it.
fn append(run: &mut Run, wave: WaveRecord, trials: &[TrialRecord]) {
    run.append_behind(wave, trials.to_vec(), Trace::default())
        .unwrap();
    run.settle().unwrap();
}

fn trials_of(run: &Run) -> Vec<TrialRecord> {
    run.reader().trials().unwrap().map(Result::unwrap).collect()
}

#[test]
fn what_is_appended_is_read_back_and_params_keep_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = create(&folder.path().join("run"), &run_record()).unwrap();
    append(&mut run, wave(0), &[trial(0), trial(1)]);
    assert_eq!(trials_of(&run), [trial(0), trial(1)]);
    let text = fs::read_to_string(run.folder().join("trials.jsonl")).unwrap();
    assert!(text.contains(r#""params":{"z":1,"a":[64,64]}"#), "{text}");
    assert!(
        text.contains(r#""state":"diverged""#) && text.contains(r#""mean":null"#),
        "{text}"
    );
    assert_eq!(run.reader().run().unwrap(), run_record());
}

#[test]
fn what_is_appended_behind_is_there_when_it_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = create(&folder.path().join("run"), &run_record()).unwrap();
    run.save_checkpoint(&checkpoint()).unwrap();
    for number in 0..3 {
        run.append_behind(wave(number), vec![trial(number)], Trace::default())
            .unwrap();
    }
    run.settle().unwrap();
    assert_eq!(trials_of(&run), [trial(0), trial(1), trial(2)]);
    assert_eq!(run.reader().waves().unwrap().count(), 3);
    assert!(
        run.checkpoint().unwrap().is_none(),
        "it was of a wave before"
    );
    // The next wave's stays.
    run.append_behind(wave(3), vec![trial(3)], Trace::default())
        .unwrap();
    run.save_checkpoint(&checkpoint()).unwrap();
    assert!(run.checkpoint().unwrap().is_some());
    assert_eq!(trials_of(&run).len(), 4);
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_appended_behind_is_told_by_the_next_call() {
    let call = |run: &mut Run, which: usize| match which {
        0 => run.settle(),
        1 => run.save_checkpoint(&checkpoint()),
        _ => run.append_behind(wave(1), Vec::new(), Trace::default()),
    };
    for which in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        drop(create(&path, &run_record()).unwrap());
        let lines = path.join("trials.jsonl");
        fs::remove_file(&lines).unwrap();
        std::os::unix::fs::symlink("/dev/full", &lines).unwrap();
        let mut run = resume(&path).unwrap().unwrap().run;
        run.save_checkpoint(&checkpoint()).unwrap();
        run.append_behind(wave(0), vec![trial(0)], Trace::default())
            .unwrap();
        let error = call(&mut run, which).unwrap_err().to_string();
        assert!(error.contains("cannot write"), "{error}");
        run.settle().unwrap();
        assert_eq!(run.checkpoint().unwrap(), Some(checkpoint()));
    }
}

#[test]
fn a_new_run_takes_an_empty_folder_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".regatta-part-x"), "half").unwrap();
    drop(create(folder.path(), &run_record()).unwrap());
    assert!(matches!(
        create(folder.path(), &run_record()),
        Err(StoreError::Exists { .. })
    ));
    let file = folder.path().join("run.json");
    assert!(matches!(
        create(&file, &run_record()),
        Err(StoreError::Exists { .. })
    ));
}

#[test]
fn resuming_nothing_begins_and_resuming_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(resume(&folder.path().join("absent")).unwrap().is_none());
    assert!(resume(folder.path()).unwrap().is_none());
    fs::write(folder.path().join("letter.txt"), "dear").unwrap();
    assert!(matches!(
        resume(folder.path()),
        Err(StoreError::NotARun { .. })
    ));
    assert!(matches!(
        open(&folder.path().join("absent")),
        Err(StoreError::Missing { .. })
    ));
}

#[test]
fn a_run_in_use_is_refused_until_it_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let first = create(&path, &run_record()).unwrap();
    assert!(matches!(resume(&path), Err(StoreError::InUse { .. })));
    drop(first);
    assert!(resume(&path).unwrap().is_some());
}

#[test]
fn a_torn_last_line_is_cut_and_whole_lines_stay() {
    for (torn, cut) in [("", 0), ("{\"trial\":1", 10), ("x", 1)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let mut run = create(&path, &run_record()).unwrap();
        append(&mut run, wave(0), &[trial(0)]);
        drop(run);
        let lines = path.join("trials.jsonl");
        let whole = fs::read_to_string(&lines).unwrap();
        fs::write(&lines, whole.clone() + torn).unwrap();
        let read: Vec<_> = open(&path).unwrap().trials().unwrap().collect();
        assert_eq!(read.len(), 1, "a reader leaves it out");
        let mut opened = resume(&path).unwrap().unwrap();
        assert_eq!(opened.torn_bytes, cut);
        assert_eq!(fs::read_to_string(&lines).unwrap(), whole);
        append(&mut opened.run, wave(1), &[trial(1)]);
        assert_eq!(trials_of(&opened.run), [trial(0), trial(1)]);
    }
}

#[test]
fn a_torn_line_longer_than_a_block_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lines");
    for whole in ["", "1\n", "1\n22\n"] {
        fs::write(&path, format!("{whole}{}", "9".repeat(200_000))).unwrap();
        let (_, torn) = Appender::open(&path).unwrap();
        assert_eq!(torn, 200_000);
        assert_eq!(fs::read_to_string(&path).unwrap(), whole);
    }
}

#[test]
fn a_whole_line_that_is_no_record_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lines");
    fs::write(&path, "1\nnonsense\n").unwrap();
    let read: Vec<Result<u32, _>> = Reader::open(&path).unwrap().collect();
    assert_eq!(*read[0].as_ref().unwrap(), 1);
    let error = read[1].as_ref().unwrap_err().to_string();
    assert!(error.contains("lines is damaged: line 2"), "{error}");
}

#[test]
fn waves_that_are_trained_again_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = create(&folder.path().join("run"), &run_record()).unwrap();
    for number in 0..4 {
        append(&mut run, wave(number), &[]);
    }
    run.forget_waves_from(2).unwrap();
    append(&mut run, wave(2), &[]);
    let waves: Vec<u64> = run
        .reader()
        .waves()
        .unwrap()
        .map(|w| w.unwrap().wave)
        .collect();
    assert_eq!(waves, [0, 1, 2]);
}

#[test]
fn a_newer_schema_is_refused_by_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let mut record = run_record();
    record.schema_version = SCHEMA_VERSION + 1;
    drop(create(&path, &record).unwrap());
    let error = resume(&path).err().unwrap();
    assert!(
        matches!(
            error,
            StoreError::Newer {
                found: 2,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_damaged_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    drop(create(&path, &run_record()).unwrap());
    fs::write(path.join("run.json"), "{\"schema_version\": 1").unwrap();
    let error = resume(&path).err().unwrap().to_string();
    assert!(error.contains("run.json is damaged"), "{error}");
}

fn id(trial: u64, fold: u32) -> MemberId {
    MemberId {
        trial,
        repeat: 1,
        fold,
    }
}

fn checkpoint() -> Checkpoint {
    let member = |trial, fold, moments: usize| MemberSnapshot {
        id: id(trial, fold),
        parameters: vec![1.0, -0.0, f32::MIN_POSITIVE],
        moments: (0..moments)
            .map(|k| vec![k as f32, trial as f32, 0.5])
            .collect(),
        running: vec![-1.5, 2.0],
        steps: 7,
        samples: 99,
        epoch: 2,
        cursor: 32,
        loss_sum: 1.0 / 3.0,
        train_loss: 0.1 + 0.2,
        diverged: trial == 2,
    };
    let history = |trial, fold, epochs: usize| MemberHistory {
        id: id(trial, fold),
        epochs: (0..epochs)
            .map(|e| [e as f64, 0.1, f64::INFINITY])
            .collect(),
        samples: 3,
        steps: 4,
        diverged: epochs == 0,
    };
    Checkpoint {
        header: CheckpointHeader {
            wave: 3,
            refit: true,
            train_s: 0.125,
            evaluate_s: 0.5,
            wall_s: 2.0,
        },
        members: vec![
            member(0, 0, 2),
            member(1, REFIT, 0),
            member(2, 1, 1),
            member(3, 2, 2),
        ],
        histories: vec![history(0, 0, 2), history(1, REFIT, 0), history(2, 1, 5)],
    }
}

#[test]
fn a_checkpoint_is_read_back_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wave.safetensors");
    assert_eq!(checkpoint::read(&path).unwrap(), None);
    checkpoint::write(&path, &checkpoint()).unwrap();
    assert_eq!(checkpoint::read(&path).unwrap(), Some(checkpoint()));
    let empty = Checkpoint {
        members: Vec::new(),
        ..checkpoint()
    };
    checkpoint::write(&path, &empty).unwrap();
    assert_eq!(checkpoint::read(&path).unwrap(), Some(empty));
    // Networks of several shapes.
    let mut several = checkpoint();
    several.members[0].parameters.push(9.0);
    for moment in &mut several.members[0].moments {
        moment.push(8.0);
    }
    several.members[1].running.clear();
    checkpoint::write(&path, &several).unwrap();
    assert_eq!(checkpoint::read(&path).unwrap(), Some(several));
}

/// The file with the first so many columns of `members`, with the tensor `running` or without.
fn rewritten(bytes: &[u8], columns: usize, running: bool) -> Vec<u8> {
    let (_, metadata) = safetensors::SafeTensors::read_metadata(bytes).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(bytes).unwrap();
    let members = tensors.tensor("members").unwrap();
    let row = 8 * members.shape()[1];
    let few: Vec<u8> = members
        .data()
        .chunks_exact(row)
        .flat_map(|row| row[..8 * columns].to_vec())
        .collect();
    let shape = vec![members.shape()[0], columns];
    let few = safetensors::tensor::TensorView::new(members.dtype(), shape, &few).unwrap();
    let of_name = |(name, tensor): (String, _)| match name.as_str() {
        "members" => (name, few.clone()),
        _ => (name, tensor),
    };
    let tensors = tensors.tensors().into_iter();
    let tensors = tensors.filter(|(name, _)| running || name != "running");
    safetensors::serialize(tensors.map(of_name), metadata.metadata().clone()).unwrap()
}

/// Versions whose waves had one shape did not write how long rows are; before batch norm there was no tensor
/// `running`.
#[test]
fn checkpoints_of_earlier_versions_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wave.safetensors");
    checkpoint::write(&path, &checkpoint()).unwrap();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, rewritten(&bytes, 9, true)).unwrap();
    assert_eq!(checkpoint::read(&path).unwrap(), Some(checkpoint()));
    fs::write(&path, rewritten(&bytes, 9, false)).unwrap();
    let mut expected = checkpoint();
    for member in &mut expected.members {
        member.running.clear();
    }
    assert_eq!(checkpoint::read(&path).unwrap(), Some(expected));
    // What no version wrote.
    for (columns, running) in [(8, true), (10, true), (11, false)] {
        fs::write(&path, rewritten(&bytes, columns, running)).unwrap();
        let error = checkpoint::read(&path).unwrap_err();
        let damaged = matches!(error, StoreError::DamagedCheckpoint { .. });
        assert!(damaged, "{columns}: {error}");
    }
}

#[test]
fn a_damaged_checkpoint_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wave.safetensors");
    checkpoint::write(&path, &checkpoint()).unwrap();
    let bytes = fs::read(&path).unwrap();
    for length in (0..bytes.len()).step_by(37) {
        fs::write(&path, &bytes[..length]).unwrap();
        let error = checkpoint::read(&path).unwrap_err();
        assert!(
            matches!(error, StoreError::DamagedCheckpoint { .. }),
            "{length}: {error}"
        );
    }
}

#[test]
fn a_whole_file_that_cannot_be_written_leaves_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.html");
    write_text(&path, "old").unwrap();
    let failed: Result<(), StoreError> = atomic::write(&path, |_| {
        Err(StoreError::damaged(Path::new("x"), "on purpose"))
    });
    assert!(failed.is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_network_is_written_for_other_tools() {
    let folder = tempfile::tempdir().unwrap();
    let run = create(&folder.path().join("run"), &run_record()).unwrap();
    let shape = crate::train::Shape::new(2, &[1], 2);
    let names = ["a \"quoted\" name".to_owned(), "b".to_owned()];
    run.write_network(&NetworkFile {
        trial: 4,
        activation: crate::train::Activation::Tanh,
        shape: &shape,
        parameters: &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
        running: &[],
        offset: &[0.5, 0.25],
        factor: &[2.0, 4.0],
        features: &names,
        classes: &names,
    })
    .unwrap();
    let bytes = fs::read(run.folder().join("best.safetensors")).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let info = metadata.metadata().as_ref().unwrap();
    let info: serde_json::Value = serde_json::from_str(&info["regatta"]).unwrap();
    assert_eq!(info["format"], "dense");
    assert_eq!(info["activation"], "tanh");
    assert_eq!(info["classes"], json!(names));
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let last = tensors.tensor("dense_1.weight").unwrap();
    assert_eq!(last.shape(), [1, 2]);
    assert_eq!(
        last.data(),
        [4.0_f32.to_le_bytes(), 5.0_f32.to_le_bytes()].concat()
    );
    assert_eq!(tensors.tensor("input.factor").unwrap().shape(), [2]);
}

#[test]
fn a_network_with_batch_norm_has_another_format_and_no_bias_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let run = create(&folder.path().join("run"), &run_record()).unwrap();
    let shape = crate::train::Shape::new(1, &[2], 1).with_batch_norm(true);
    let names = ["a".to_owned()];
    run.write_network(&NetworkFile {
        trial: 4,
        activation: crate::train::Activation::Relu,
        shape: &shape,
        parameters: &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
        running: &[10.0, 11.0, 12.0, 13.0],
        offset: &[0.5],
        factor: &[2.0],
        features: &names,
        classes: &names,
    })
    .unwrap();
    let bytes = fs::read(run.folder().join("best.safetensors")).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let info = metadata.metadata().as_ref().unwrap();
    let info: serde_json::Value = serde_json::from_str(&info["regatta"]).unwrap();
    assert_eq!(info["format"], "dense+batch_norm");
    assert_eq!(info["batch_norm_epsilon"], 1e-5);
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut found = tensors.names();
    found.sort_unstable();
    let expected: [(&str, &[f32]); 9] = [
        ("batch_norm_0.beta", &[5.0, 6.0]),
        ("batch_norm_0.gamma", &[3.0, 4.0]),
        ("batch_norm_0.running_mean", &[10.0, 11.0]),
        ("batch_norm_0.running_variance", &[12.0, 13.0]),
        ("dense_0.weight", &[1.0, 2.0]),
        ("dense_1.bias", &[9.0]),
        ("dense_1.weight", &[7.0, 8.0]),
        ("input.factor", &[2.0]),
        ("input.offset", &[0.5]),
    ];
    assert_eq!(found, expected.map(|(name, _)| name));
    for (name, values) in expected {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(tensors.tensor(name).unwrap().data(), bytes, "{name}");
    }
}
