// @vitest-environment jsdom
import { afterEach, expect, it, vi } from 'vitest';
import { chartOptions } from './chart-options';

// jsdom has no canvas.
vi.mock('uplot', () => ({ default: {} }));

afterEach(() => {
  document.head.replaceChildren();
  delete document.documentElement.dataset.theme;
});

it('draws in the colours of the present theme', () => {
  const style = document.createElement('style');
  style.textContent = ':root { --muted: grey } :root[data-theme="dark"] { --muted: white }';
  document.head.append(style);
  const { axes } = chartOptions({ unit: 'number', lines: [], gaps: () => [], onCursor: vi.fn() });
  const stroke = axes?.[0]?.stroke as (() => string) | undefined;
  document.documentElement.dataset.theme = 'light';
  expect(stroke?.()).toBe('grey');
  document.documentElement.dataset.theme = 'dark';
  expect(stroke?.()).toBe('white');
});
