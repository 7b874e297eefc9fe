listTrades(showTrade);
start(() => {
  offerRanges();
  drawAll();
  followZoom();
});
