/** When disk and memory will be full, in words. */
import type { Forecast } from '../domain/capacity.js';
import type { Capacity } from './api.js';
import { Fact } from './parts.js';
import { bytes, count, date, visible } from './text.js';

export function ForecastSection({ capacity: { forecasts, advice } }: { capacity: Capacity }) {
  return (
    <>
      <dl class="facts">
        {forecasts.map(forecast => (
          <Fact name={NAMES[forecast.resource]} key={forecast.resource}>
            <Words forecast={forecast} />
          </Fact>
        ))}
      </dl>
      <ul class="advice">
        {advice.map(({ code, text }) => (
          <li key={code + text}>{visible(text)}</li>
        ))}
      </ul>
    </>
  );
}

const NAMES = { disk: 'Disk', memory: 'Memory' } as const;
const BASES = { log: 'of the log', samples: 'of samples', none: '' } as const;

function Words({ forecast }: { forecast: Forecast }) {
  const {
    used_bytes,
    limit_bytes,
    bytes_per_day: perDay,
    full_at,
    full_in_days,
    history_days,
    basis,
    note,
  } = forecast;
  return (
    <>
      <p>
        <strong>
          {full_at === undefined
            ? 'No date.'
            : `Full in about ${count(Math.round(full_in_days!), 'day')}, on ${date(full_at)}.`}
        </strong>{' '}
        {bytes(used_bytes)} of {bytes(limit_bytes)} are in use
        {perDay !== undefined &&
          `, and ${perDay < 0 ? 'less by' : 'more by'} ${bytes(Math.abs(perDay))} a day`}
        .
      </p>
      <p class="quiet small">
        {visible(note)}
        {basis !== 'none' &&
          `. It rests on ${count(history_days, 'day')} ${BASES[basis]}, and tells no margin of error.`}
      </p>
    </>
  );
}
