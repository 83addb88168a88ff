// Runs in a page: `@segment/analytics-next` by its own npm way. Its settings are given, so that it asks Segment for none.
import { AnalyticsBrowser } from '@segment/analytics-next';

const { writeKey, apiHost, deliveryStrategy } = window.settings;
const segment = { apiKey: writeKey, apiHost, protocol: 'http', deliveryStrategy };
window.analytics = AnalyticsBrowser.load({
  writeKey,
  cdnSettings: { integrations: { 'Segment.io': segment } },
});
