/** How the server, its store and its machine do: the report of every check, what the samples say, and when disk and memory will be full. */
import type { HealthAnswer, HealthCheck, Level } from '../domain/health.js';
import { call } from './api.js';
import { ChartsSection } from './charts.js';
import { ForecastSection } from './forecast.js';
import { useAnswer, useTick } from './hooks.js';
import { Failure, LevelBadge, Section, Time } from './parts.js';
import { count, visible } from './text.js';

/** As often as the server looks by itself, unless it is told otherwise. */
const LOOK_MS = 60_000;
/** Rates of a month change slowly. */
const CAPACITY_MS = 15 * 60_000;

/** @param returns another number: the server was away */
export function HealthView({ returns }: { returns: number }) {
  const look = `${returns}/${useTick(LOOK_MS)}`;
  const report = useAnswer(signal => call('health', {}, signal), 'health', { round: look });
  const capacity = useAnswer(signal => call('capacity', {}, signal), 'capacity', {
    round: `${returns}/${useTick(CAPACITY_MS)}`,
  });
  return (
    <>
      <Section title="Health" id="health-title">
        <Failure error={report.error} />
        {report.value === undefined && report.isLoading && <p role="status">Looking…</p>}
        {report.value !== undefined && <Report report={report.value} />}
      </Section>
      <ChartsSection round={look} capacity={capacity.value} />
      <Section title="Forecast" id="forecast-title">
        <Failure error={capacity.error} />
        {capacity.value !== undefined && <ForecastSection capacity={capacity.value} />}
      </Section>
    </>
  );
}

function Report({ report: { level, checks, time } }: { report: HealthAnswer }) {
  const wrong = checks.filter(check => check.level !== 'ok');
  const right = checks.filter(check => check.level === 'ok');
  return (
    <>
      <p class={`verdict ${level}`} role="status">
        <LevelBadge level={level} /> {WORDS[level](wrong.length, checks.length)}
      </p>
      <p class="quiet small">
        <Time time={time} />, and again every minute
      </p>
      <ul class="checks">
        {bySeverity(wrong).map(check => (
          <Check check={check} key={check.name} />
        ))}
        {right.map(check => (
          <Check check={check} key={check.name} />
        ))}
      </ul>
    </>
  );
}

const WORDS: Readonly<Record<Level, (wrong: number, all: number) => string>> = {
  ok: (_, all) => `All ${count(all, 'check')} are well.`,
  warn: (wrong, all) => `${count(wrong, 'check')} of ${all} should be looked at.`,
  critical: (wrong, all) => `${count(wrong, 'check')} of ${all} must be looked at now.`,
};

const bySeverity = (checks: readonly HealthCheck[]) =>
  [...checks].sort((a, b) => Number(b.level === 'critical') - Number(a.level === 'critical'));

function Check({ check: { name, level, message, advice } }: { check: HealthCheck }) {
  return (
    <li class={level}>
      <p class="check-head">
        <LevelBadge level={level} /> <strong>{name}</strong> <span>{visible(message)}</span>
      </p>
      {advice !== undefined && (
        <p class="way-out">
          <span aria-hidden="true">→ </span>
          {visible(advice)}
        </p>
      )}
    </li>
  );
}
