/**
 * English function words, lower-cased, without apostrophes (analysis drops them). They are indexed all the same: a query of
 * nothing else ("to be or not to be", "if else") must still find its text. Beside other words they are left out of the
 * query, where they would only add noise and cost.
 */
export const STOP_WORDS: ReadonlySet<string> = new Set(
  (
    'a about above after again all also am an and any are arent as at be because been before being below between both but ' +
    'by can cannot cant could couldnt did didnt do does doesnt doing dont down during each either else etc ever every few ' +
    'for from further had hadnt has hasnt have havent having he hed hell her here heres hers herself hes him himself his how ' +
    'hows i id if ill im in into is isnt it itd itll its itself ive just let lets may me might more most must my myself ' +
    'neither no nor not now of off on once one only onto or other our ours ourselves out over own per please rather ' +
    'same shall shant she shed shell shes should shouldnt so some such than that thats the their theirs them themselves ' +
    'then there theres these they theyd theyll theyre theyve this those though through thus to too under until up upon us ' +
    'very via was wasnt we wed well were werent weve what whats when whens where wheres whether which while who whom whos ' +
    'whose why whys will with within without wont would wouldnt yet you youd youll your youre yours yourself yourselves youve'
  ).split(' '),
);
