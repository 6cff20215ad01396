import { act, fireEvent, render, screen, within } from '@testing-library/react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeEventSource } from '../test/fake-event-source';
import { fakeClient } from '../test/tab';
import { App } from './App';
import './features/notifications/ToastList'; // its import in a test takes no time then
import { navigate } from './shell/location';
import { token } from './shell/token';

const line = () => FakeEventSource.current;
const pill = () => screen.getByRole('button', { name: /^Connection:/ });
const pass = (time = 70) => act(() => vi.advanceTimersByTimeAsync(time));

async function show(address = '/') {
  window.history.replaceState(undefined, '', address);
  localStorage.clear();
  render(<App client={fakeClient()} />);
  await act(() => vi.dynamicImportSettled());
  await pass();
  await pass();
}

/** The notifications ask for recent events, so their request follows that of the screen's topics. */
async function showLive(address?: string) {
  await show(address);
  line().open({ id: '0' });
  await pass();
  line().open({ id: 'stream:notifications@p=0,q=0' });
  await pass();
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, 'random').mockReturnValue(0);
  vi.stubGlobal('fetch', vi.fn().mockRejectedValue(new TypeError('no network in this test')));
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
});

describe('the app', () => {
  it('begins with the tutorial’s page', async () => {
    await showLive('/?channel=a');
    expect(
      screen.getByRole('heading', { level: 1, name: '🚀 Real-Time Data Stream (SSE + React)' }),
    ).toBeInTheDocument();
    expect(
      screen.getByRole('heading', { level: 2, name: '📡 Live Server-Sent Events' }),
    ).toBeInTheDocument();
    expect(line().url).toContain('channel=a&stream=notifications&last=200');
  });

  it('leads to the other screens, and back', async () => {
    await show('/?channel=a');
    fireEvent.click(screen.getByRole('link', { name: 'Notifications' }));
    await vi.dynamicImportSettled();
    await pass();
    expect(window.location.pathname).toBe('/notifications');
    expect(screen.getByRole('heading', { level: 1, name: 'Notifications' })).toBeInTheDocument();
    expect(screen.getByRole('link', { name: 'Notifications' })).toHaveAttribute(
      'aria-current',
      'page',
    );
    expect(document.title).toBe('Notifications – Sluice');
  });

  it('shows each screen from its top', async () => {
    await show('/?channel=a');
    screen.getByRole('main').scrollTop = 100;
    act(() => navigate('/nowhere'));
    expect(screen.getByRole('main').scrollTop).toBe(0);
  });

  it('says so where there is no such screen', async () => {
    await show('/nowhere');
    expect(screen.getByText('Page not found')).toBeInTheDocument();
    act(() => navigate('/?channel=a'));
    await pass();
    expect(screen.queryByText('Page not found')).toBeNull();
  });

  it('says how the connection is, and counts down to the next try', async () => {
    await show('/?channel=a');
    expect(pill()).toHaveTextContent('Connecting…');
    line().open({ id: '0' });
    await pass();
    expect(pill()).toHaveTextContent('Connecting…'); // the screen's own topic is still to come
    line().open({ id: 'stream:notifications@p=0,q=0' });
    await pass();
    expect(pill()).toHaveTextContent('Live');
    line().break();
    await pass();
    expect(pill()).toHaveTextContent('Retrying in 1 s');
    expect(screen.getByText(/The connection was lost/)).toBeInTheDocument();
  });

  it('tries at once on request, and says that nothing was missed', async () => {
    await showLive('/?channel=a');
    line().break();
    await pass();
    const before = FakeEventSource.opened.length;
    fireEvent.click(screen.getByRole('button', { name: 'Retry now' }));
    await pass();
    expect(FakeEventSource.opened).toHaveLength(before + 1);
    line().open({ resumed: true });
    await pass();
    expect(screen.queryByRole('button', { name: 'Retry now' })).toBeNull();
    expect(screen.getByText('Connected again, no events missed')).toBeInTheDocument();
    expect(pill()).toHaveTextContent('Resumed, nothing missed');
    await pass(5_000);
    expect(pill()).toHaveTextContent(/^Connection:Live$/);
  });

  it('reports how many events an interruption lost', async () => {
    await showLive('/?channel=a');
    line().break();
    await pass(2_000);
    line().open({ resumed: false });
    line().emit('stream.gap', '{"topic":"stream:notifications","lost":12}', '9');
    await pass();
    expect(pill()).toHaveTextContent('Resumed, 12 missed');
    await pass(5_000);
    expect(pill()).toHaveTextContent('Live · 12 missed');
  });

  it('does not call it resumed if a request was refused', async () => {
    await show('/?channel=a');
    line().refuse();
    await pass(2_000);
    for (const id of ['0', 'stream:notifications@p=0,q=0']) {
      line().open({ resumed: true, id });
      await pass();
    }
    expect(pill()).toHaveTextContent(/^Connection:Live$/);
    expect(screen.queryByText('Connected again, no events missed')).toBeNull();
  });

  it('counts the gaps of the topics that it follows', async () => {
    await showLive('/?channel=a');
    line().emit('stream.gap', '{"topic":"channel:a","lost":12}', 'channel:a@p=9');
    await pass();
    expect(pill()).toHaveTextContent('Live · 12 missed');
    act(() => navigate('/?channel=b'));
    await pass();
    line().open({ id: 'channel:b@p=0,q=0' });
    await pass();
    expect(pill()).toHaveTextContent(/^Connection:Live$/);
  });

  it('measures the latency on a busy stream, which has no pings', async () => {
    await showLive('/?channel=a');
    vi.mocked(fetch).mockResolvedValue(new Response());
    fireEvent.click(pill());
    await vi.waitFor(async () => {
      await pass(); // until their code is loaded
      expect(screen.getByRole('dialog', { name: 'Connection' })).toHaveTextContent(
        /\d ms to the server and back/,
      );
    }, 30_000);
  });

  it('says that nothing was heard for too long', async () => {
    await showLive('/?channel=a');
    await pass(60_000);
    expect(pill()).toHaveTextContent(/Stale/);
  });

  it('has the latency beside it', async () => {
    await showLive('/?channel=a');
    const time = new Date(Date.now() - 12).toISOString();
    line().emit('stream.ping', JSON.stringify({ time }));
    await pass();
    expect(pill()).toHaveTextContent('Live · 12 ms');
  });

  it('says how much was missed', async () => {
    await showLive('/?channel=a');
    line().emit('stream.gap', '{"topic":"stream:notifications","lost":12}', '9');
    await pass();
    expect(pill()).toHaveTextContent('Live · 12 missed');
  });

  it('hides the number of missed events after the details were open, which keep it', async () => {
    await showLive('/?channel=a');
    const gap = async (lost: number, id: string) => {
      line().emit('stream.gap', `{"topic":"stream:notifications","lost":${lost}}`, id);
      await pass();
    };
    await gap(12, '9');
    fireEvent.click(pill());
    const details = () => screen.getByRole('dialog', { name: 'Connection' });
    await vi.waitFor(async () => {
      await pass(); // until their code is loaded
      expect(details()).toHaveTextContent('12 missed');
    }, 30_000);
    fireEvent.click(pill());
    await pass();
    expect(pill()).toHaveTextContent(/^Connection:Live$/);
    await gap(3, '10');
    expect(pill()).toHaveTextContent('Live · 3 missed');
  });

  it('does not mention make to visitors', async () => {
    vi.stubEnv('DEV', false);
    await show('/?channel=a');
    line().break();
    await pass();
    expect(screen.getByText(/Cannot reach/)).not.toHaveTextContent('make');
  });

  it('says to developers how to start a local server', async () => {
    await show('/?channel=a');
    line().break();
    await pass();
    const notice = screen.getByText(/Cannot reach http:\/\/localhost:4000/);
    expect(notice).toHaveTextContent('Start it with make run.');
  });

  it.each([
    ['unavailable', /cannot reach Redis/],
    ['overloaded', /cannot accept another/],
    ['draining', /is shutting down/],
  ])('puts the reason %s into words', async (reason, words) => {
    await showLive('/?channel=a');
    line().emit('stream.close', JSON.stringify({ reason }));
    await pass();
    expect(screen.getByText(words)).toBeInTheDocument();
  });

  it('shows new notifications on every screen, and counts the unread ones', async () => {
    await showLive('/?channel=a');
    await pass(3_000);
    const time = new Date().toISOString();
    const data = JSON.stringify({
      time,
      title: 'Disk full',
      body: 'Of logs.',
      severity: 'warning',
    });
    line().message(data, 'stream:notifications@p=1,q=2');
    await pass();
    await vi.dynamicImportSettled();
    await pass();
    const toasts = screen.getByRole('region', { name: 'New notifications' });
    expect(within(toasts).getByText('Disk full')).toBeInTheDocument();
    expect(document.title).toBe('(1) Live – Sluice');
    fireEvent.click(screen.getByRole('button', { name: 'Dismiss: Disk full' }));
    await pass();
    expect(within(toasts).queryByText('Disk full')).toBeNull();
  });

  it('does not call old notifications new', async () => {
    await showLive('/?channel=a');
    line().message(
      '{"title":"Long ago","time":"2020-01-01T00:00:00Z"}',
      'stream:notifications@p=1',
    );
    await pass();
    expect(screen.queryByText('Long ago')).toBeNull();
    expect(document.title).toBe('Live – Sluice');
  });

  it('shows that the saved token is not accepted, and removes it on request', async () => {
    window.history.replaceState(undefined, '', '/?channel=a');
    const client = fakeClient(token);
    sessionStorage.setItem('sluice:token', 'bad');
    const refusal = { status: 401, headers: { 'Content-Type': 'application/problem+json' } };
    vi.mocked(fetch).mockImplementation((url) =>
      (url as string).includes('access_token')
        ? Promise.resolve(Response.json({ detail: 'The token is not a JWT.' }, refusal))
        : Promise.reject(new TypeError('no network in this test')),
    );
    render(<App client={client} />);
    await vi.waitFor(async () => {
      await pass();
      expect(line().url).toContain('access_token=bad');
    }, 30_000);
    line().refuse();
    await pass(3_000);
    expect(screen.getByText(/does not accept the saved access token/)).toHaveTextContent(
      'token: The token is not a JWT. Only public topics are followed.',
    );
    expect(line().url).not.toContain('access_token');
    fireEvent.click(screen.getByRole('button', { name: 'Remove the token' }));
    await pass();
    expect(screen.queryByText(/does not accept the saved access token/)).toBeNull();
    expect(sessionStorage.getItem('sluice:token')).toBeNull();
  });

  it('keeps the focus in the list when a notification is marked as read', async () => {
    await showLive('/?channel=a');
    await pass(3_000);
    ['1', '2'].forEach((id) =>
      line().message(JSON.stringify({ title: `Note ${id}` }), `stream:notifications@p=${id}`),
    );
    act(() => navigate('/notifications'));
    await vi.dynamicImportSettled();
    await pass();
    const mark = (name: string) => {
      const button = screen.getByRole('button', { name: `Mark read: ${name}` });
      button.focus();
      fireEvent.click(button);
    };
    mark('Note 2');
    expect(screen.getByRole('button', { name: 'Mark read: Note 1' })).toHaveFocus();
    mark('Note 1');
    expect(screen.getByRole('button', { name: 'Unread only' })).toHaveFocus();
  });

  it('filters logs by the address, also after a click on Logs', async () => {
    await show('/logs?stream=a&filter=disk');
    const field = () => screen.getByRole('searchbox', { name: 'Filter lines' });
    await vi.waitFor(async () => {
      await pass(); // until the code of the screen is loaded
      expect(line().url).toContain('stream=a&');
    }, 30_000);
    line().open({ id: 'stream:a@0' });
    await pass();
    line().message('disk full', 'stream:a@1-0');
    await vi.waitFor(async () => {
      await pass();
      expect(field()).toHaveValue('disk');
    }, 30_000);
    act(() => navigate('/logs?stream=a'));
    await pass(400);
    expect(field()).toHaveValue('');
    expect(window.location.search).toBe('?stream=a');
  });
});
