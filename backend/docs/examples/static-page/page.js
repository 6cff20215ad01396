const source = new EventSource('events?channel=updates');
source.onmessage = ({ data }) => {
  document.querySelector('#update').textContent = data;
};
