//! `regatta bench`.

use std::path::Path;
use std::process::ExitCode;

use super::adapters::{self, Adapter, Found};
use super::arguments::BenchArguments;
use super::exit::{self, Usage};
use super::output;
use crate::bench::{
    AdapterEntry, BenchRecord, EngineExecutor, Executor, SCHEMA_VERSION, Speed, Suite,
    TrainingPlan, check_place, describe_machine, line, measure, table, write,
};
use crate::engine::Engine;
use crate::engine::cpu::CpuEngine;
use crate::engine::gpu::{AdapterKind, EngineKind, GpuAdapter, fma_peak};
use crate::study::adapter_record;

/// Measures the adapters one after another; prints the table or the record. Exit code 1 when a case
/// has an error in place of its figure.
pub fn run(arguments: &BenchArguments) -> anyhow::Result<ExitCode> {
    let suite: Suite = arguments.suite.parse().map_err(Usage)?;
    if let Some(path) = &arguments.out {
        check_place(path)?;
    }
    let found = adapters::find_all(&arguments.adapter)?;
    let record = empty_record(suite, arguments.quick)?;
    let mut session = Session {
        record,
        out: arguments.out.as_deref(),
    };
    // A place that cannot be written to is noticed before anything is measured.
    session.write()?;
    let mut failed = false;
    let several = found.len() > 1;
    for found in found {
        match session.adapter(&found) {
            // One adapter that fails takes the others' figures from nobody.
            Err(error) if several => {
                output::tell(&format!("error: {error:#}"));
                failed = true;
            }
            measured => measured?,
        }
    }
    session.print(arguments.json)?;
    failed |= session.record.cases.iter().any(|case| case.error.is_some());
    Ok(ExitCode::from(if failed { exit::FAILED } else { 0 }))
}

fn empty_record(suite: Suite, quick: bool) -> anyhow::Result<BenchRecord> {
    Ok(BenchRecord {
        schema_version: SCHEMA_VERSION,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        suite: suite.name().to_owned(),
        date: jiff::Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string(),
        quick,
        machine: describe_machine()?,
        adapters: Vec::new(),
        cases: Vec::new(),
    })
}

/// The record that grows, and where it is written.
struct Session<'s> {
    record: BenchRecord,
    out: Option<&'s Path>,
}

impl Session<'_> {
    fn adapter(&mut self, found: &Found) -> anyhow::Result<()> {
        match &found.adapter {
            Adapter::Cpu => self.cpu(),
            Adapter::Gpu(gpu) => self.gpu(gpu),
        }
    }

    fn cpu(&mut self) -> anyhow::Result<()> {
        let engine = CpuEngine::<f32>::new(None)?;
        self.begin(&engine, None, false);
        self.cases(&EngineExecutor::new(&engine)?, Speed::Cpu)
    }

    fn gpu(&mut self, adapter: &GpuAdapter) -> anyhow::Result<()> {
        self.gpu_engine(adapter, EngineKind::Layered)?;
        if adapter.has_coherent_buffers() {
            self.gpu_engine(adapter, EngineKind::Resident)?;
        }
        Ok(())
    }

    fn gpu_engine(&mut self, adapter: &GpuAdapter, kind: EngineKind) -> anyhow::Result<()> {
        let engine = adapters::gpu_engine(adapter, kind)?.with_timing();
        let peak = fma_peak(&engine.device())?;
        let speed = match adapter.kind() {
            AdapterKind::Software => Speed::Software,
            _ => Speed::Gpu,
        };
        self.begin(&engine, Some(peak * 1e-9), engine.has_timestamps());
        self.cases(&EngineExecutor::on_gpu(&engine)?, speed)
    }

    fn begin(&mut self, engine: &dyn Engine, fma_peak_gflops: Option<f64>, timestamps: bool) {
        let adapter = adapter_record(engine.adapter());
        output::tell(&format!(
            "{} ({}), {} engine",
            adapter.name, adapter.backend, adapter.engine
        ));
        self.record.adapters.push(AdapterEntry {
            adapter,
            fma_peak_gflops,
            timestamps,
        });
    }

    fn cases(&mut self, executor: &dyn Executor, speed: Speed) -> anyhow::Result<()> {
        let plan = TrainingPlan::new(speed, self.record.quick);
        let count = plan.cases.len();
        for (number, case) in (1..).zip(&plan.cases) {
            measure(executor, case, plan.budget, &mut self.record);
            let measured = &self.record.cases[self.record.cases.len() - 1];
            output::tell(&format!("{number}/{count} {}", line(measured)));
            self.write()?;
        }
        Ok(())
    }

    fn write(&self) -> anyhow::Result<()> {
        match self.out {
            Some(path) => Ok(write(path, &self.record)?),
            None => Ok(()),
        }
    }

    fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            return output::print_json(&self.record);
        }
        output::print(&table(&self.record, output::table_style().width))
    }
}
