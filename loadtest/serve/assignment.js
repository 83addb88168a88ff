// One flag for one buyer (OFREP), as an OpenFeature client of a site's server asks for it: at each page, so mostly again.
import { buyerOf, handleSummary, options, post } from './drive.js';

export { handleSummary, options };

export default function () {
  const context = { targetingKey: buyerOf(2000), country: 'DE', industry: 'machinery' };
  post({ context }, /"variant":"(control|short)"/);
}
