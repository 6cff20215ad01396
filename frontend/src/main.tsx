import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { gatewayURL, subscriptionURL } from './address';
import { App } from './App';
import './index.css';

const root = document.getElementById('root');
if (!root) throw new Error('index.html has no element #root');

const eventsURL = subscriptionURL(gatewayURL(import.meta.env), window.location.search);

createRoot(root).render(
  <StrictMode>
    <App eventsURL={eventsURL} />
  </StrictMode>,
);
