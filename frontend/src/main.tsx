import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { gatewayURL } from './address';
import { App } from './App';
import { base } from './lib/base';
import './index.css';
import { currentPath } from './shell/location';
import { screenAt } from './shell/screens';
import { startTheme } from './shell/theme';
import { token } from './shell/token';
import { createStreamClient } from '@sluice/client';

const root = document.getElementById('root');
if (!root) throw new Error('index.html has no element #root');

startTheme();
// Its code loads while the frame around it is rendered. An error is reported where the screen is rendered.
screenAt(currentPath())
  ?.load()
  .catch(() => undefined);
const client = createStreamClient(gatewayURL(import.meta.env, base), { token });

createRoot(root).render(
  <StrictMode>
    <App client={client} />
  </StrictMode>,
);
