import { render, screen } from '@testing-library/react';
import { expect, it } from 'vitest';
import { Bars, rank } from './Bars';

it('is a table with figures and shares, largest first', () => {
  const values = [
    { name: '/a', value: 25 },
    { name: '/b', value: 75 },
  ];
  render(<Bars title="By page" caption="Views" unit="number" values={values} />);
  expect(screen.getByRole('table', { name: 'By page' })).toBeVisible();
  const [, ...rows] = screen.getAllByRole('row').map(({ textContent }) => textContent);
  expect(rows).toEqual(['/b7575%', '/a2525%']);
});

it('sums up the rest if there are too many bars', () => {
  const ranked = rank(Array.from({ length: 20 }, (_, n) => ({ name: `n${n}`, value: n })));
  expect(ranked).toHaveLength(8);
  expect(ranked[0]).toEqual({ name: 'n19', value: 19 });
  expect(ranked.at(-1)).toEqual({ name: '13 others', value: 78 });
});
