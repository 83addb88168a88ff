// What to bid for one impression, as a bid manager asks for it. A bid of nothing is no answer here: the budget is large enough.
import { buyerOf, handleSummary, options, post } from './drive.js';

export { handleSummary, options };

export default function () {
  const body = { campaignId: 'bench', buyerKey: `u:${buyerOf(20000)}`, country: 'DE' };
  post(body, /"bidMicros":[1-9]/);
}
