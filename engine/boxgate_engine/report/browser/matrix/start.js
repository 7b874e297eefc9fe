function drawAll() {
  for (const listener of chosen.listeners) listener();
}
start(() => {
  offerHeatmap();
  offerParallel();
  offerPareto();
  offerPeriods();
  offerCosts();
  drawAll();
});
listRuns();
